/** `none`: they are no head of a request, or one that is not written as it should be. */
export type Scanned = 'unfinished' | 'complete' | 'none';

export interface HeadScan {
  add(chunk: Buffer): Scanned;
  result(): Scanned;
}

const [lineFeed, carriageReturn] = [10, 13];
/** RFC 9112, sections 3 and 5: a request line and a field, roughly. A blank line before the first is none. */
const requestLine = /^[A-Z-]+ [^\0- \x7f]+ HTTP\/\d\.\d$/;
const fieldLine = /^[!#$%&'*+\-.^_`|~\dA-Za-z]+:[^\0\r]*$/;

/** Whether bytes may be the head of a request, told as they come: each line is looked at once. */
export function createHeadScan(): HeadScan {
  let result: Scanned = 'unfinished';
  let line: Buffer = Buffer.alloc(0);
  let lines = 0;

  const endLine = (bytes: Buffer): Scanned => {
    if (bytes.at(-2) !== carriageReturn) return 'none';
    const text = bytes.toString('latin1', 0, bytes.length - 2);
    if (text === '') return lines === 0 ? 'unfinished' : 'complete';
    lines++;
    return (lines === 1 ? requestLine : fieldLine).test(text) ? 'unfinished' : 'none';
  };
  return {
    add: (chunk) => {
      if (result !== 'unfinished') return result;
      let from = 0;
      for (let end = chunk.indexOf(lineFeed); end !== -1; end = chunk.indexOf(lineFeed, from)) {
        const bytes = chunk.subarray(from, end + 1);
        result = endLine(line.length === 0 ? bytes : Buffer.concat([line, bytes]));
        if (result !== 'unfinished') return result;
        line = Buffer.alloc(0);
        from = end + 1;
      }
      line = line.length === 0 ? chunk.subarray(from) : Buffer.concat([line, chunk.subarray(from)]);
      if (lines === 0 && line.length > 0 && !begins(line)) result = 'none';
      return result;
    },
    result: () => result,
  };
}

/** With a method, in which no small letter is, or a line that may still become a blank one. TLS does not. */
function begins(line: Buffer): boolean {
  return /^(?:\r|[A-Z-]+(?:$| ))/.test(line.toString('latin1', 0, 32));
}
