/**
 * Cuts text that arrives in pieces into lines; blank ones are left out.
 *
 * @param longest of a line, characters; `onTooLong` is called once for a longer one, and nothing more is read
 */
export function cutLines(
  onLine: (line: string) => void,
  { longest, onTooLong }: { readonly longest: number; readonly onTooLong: () => void },
): (chunk: string) => void {
  let rest = '';
  let isOver = false;
  return (chunk) => {
    let from = 0;
    for (let end = chunk.indexOf('\n'); end !== -1 && !isOver; end = chunk.indexOf('\n', from)) {
      const line = rest + chunk.slice(from, end);
      rest = '';
      from = end + 1;
      if (line.trim() !== '') onLine(line);
    }
    rest += chunk.slice(from);
    if (isOver || rest.length <= longest) return;
    isOver = true;
    rest = '';
    onTooLong();
  };
}
