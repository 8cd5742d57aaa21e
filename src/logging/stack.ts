import { fileURLToPath } from 'node:url';

/**
 * A stack for people: of frames that are Node's own or a package's only the topmost stays, where the error was thrown; the
 * others are one line that counts them. Frames of this program are folded too, unless there is none but them: a bug.
 */
export function foldStack(stack: string): string {
  const lines = stack.split('\n');
  const isOwnBug = !lines.some((line) => frame.test(line) && whose(line) === null);
  const folded: string[] = [];
  let run: string[] = [];
  let isTop = true;
  const endRun = (): void => {
    if (run.length > 0) folded.push(`    … ${describe(run)}`);
    run = [];
  };
  for (const line of lines) {
    const isFrame = frame.test(line);
    const owner = isFrame ? whose(line) : null;
    if (!isTop && owner !== null && !(isOwnBug && owner === 'rom-agent')) {
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

type Owner = 'Node' | 'node_modules' | 'rom-agent';

/** null: the app. */
function whose(line: string): Owner | null {
  if (nodesOwn.test(line)) return 'Node';
  if (line.includes(ownFolder)) return 'rom-agent';
  return ofPackage.test(line) ? 'node_modules' : null;
}

/** Where this program is; packed or not, one folder above this file's. */
const ownFolder = fileURLToPath(new URL('../', import.meta.url));

function describe(run: readonly string[]): string {
  const owners = (['Node', 'node_modules', 'rom-agent'] as const).filter((owner) =>
    run.some((line) => whose(line) === owner),
  );
  return `${run.length} ${run.length === 1 ? 'frame' : 'frames'} of ${owners.join(' and ')}`;
}
