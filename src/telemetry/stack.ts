/**
 * A stack for people: of frames that are Node's own or a package's only the topmost stays, where the error was thrown; the
 * others are one line that counts them.
 */
export function foldStack(stack: string): string {
  const folded: string[] = [];
  let run: string[] = [];
  let isTop = true;
  const endRun = (): void => {
    if (run.length > 0) folded.push(`    … ${describe(run)}`);
    run = [];
  };
  for (const line of stack.split('\n')) {
    const isFrame = frame.test(line);
    if (isFrame && !isTop && isForeign(line)) {
      run.push(line);
      continue;
    }
    endRun();
    folded.push(line);
    // The message, or the next cause: the frame behind it is the topmost.
    isTop = !isFrame;
  }
  endRun();
  return folded.join('\n');
}

/** The same on one line, as the journal takes an entry. */
export function stackOnOneLine(stack: string): string {
  return foldStack(stack)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join(' | ');
}

const frame = /^\s*at /;
const nodesOwn = /[( ]node:|\(<anonymous>\)$|\(index \d+\)$|\(native\)$/;
const ofPackage = /[\\/]node_modules[\\/]/;

function isForeign(line: string): boolean {
  return nodesOwn.test(line) || ofPackage.test(line);
}

function describe(run: readonly string[]): string {
  const packages = run.filter((line) => ofPackage.test(line)).length;
  const whose = packages === 0 ? 'Node' : packages === run.length ? 'node_modules' : 'Node and node_modules';
  return `${run.length} ${run.length === 1 ? 'frame' : 'frames'} of ${whose}`;
}
