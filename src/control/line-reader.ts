/**
 * Cuts text that arrives in pieces into lines; blank ones, the signs of life, are left out.
 *
 * @param longest what is kept of a line that has not ended yet, characters
 */
export function createLineReader(
  onLine: (line: string) => void,
  longest = Number.POSITIVE_INFINITY,
): (chunk: string) => void {
  let rest = '';
  return (chunk) => {
    const lines = (rest + chunk).split('\n');
    rest = (lines.pop() ?? '').slice(0, longest);
    for (const line of lines) if (line.trim() !== '') onLine(line);
  };
}
