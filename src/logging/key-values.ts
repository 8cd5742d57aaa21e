import { fileURLToPath } from 'node:url';
import { printable } from './printable.js';

export interface KeyValue {
  readonly key: string;
  /** Quoted where it has to be. */
  readonly value: string;
}

export interface KeyValues {
  readonly pairs: readonly KeyValue[];
  /** Stacks that are to follow on lines of their own, as they are. */
  readonly stacks: readonly string[];
}

interface SerializedError {
  readonly type: string;
  readonly message: string;
  readonly stack: string;
  readonly [field: string]: unknown;
}

/**
 * The fields of an entry as `key=value` pairs. Nested objects become dotted keys; arrays stay JSON. Of an
 * error `inline` makes one value out of the stack, `apart` hands the stack back beside the pairs; both fold it.
 */
export function keyValues(
  fields: Readonly<Record<string, unknown>>,
  { stacks: style }: { stacks: 'inline' | 'apart' },
): KeyValues {
  const pairs: KeyValue[] = [];
  const stacks: string[] = [];
  const add = (key: string, value: unknown): void => {
    if (value === undefined) return;
    if (isError(value)) addError(key, value);
    // Where the error itself is in another process.
    else if (key === 'stack' && typeof value === 'string') addStack(key, value);
    else if (isNested(value)) addAll(key, value);
    else pairs.push({ key, value: plain(value) });
  };
  const addStack = (key: string, stack: string, isMessage = false): void => {
    if (style === 'apart' && !isMessage) stacks.push(foldStack(stack));
    else pairs.push({ key, value: quoted(isMessage ? stack : stackOnOneLine(stack)) });
  };
  const addAll = (prefix: string, record: Readonly<Record<string, unknown>>): void => {
    for (const [key, value] of Object.entries(record)) add(`${prefix}.${cleanKey(key)}`, value);
  };
  const addError = (key: string, { type, message, stack, ...rest }: SerializedError): void => {
    addStack(key, stack || `${type}: ${message}`, stack === '');
    addAll(key, rest);
  };
  for (const [key, value] of Object.entries(fields)) add(cleanKey(key), value);
  return { pairs, stacks };
}

function plain(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  return printable(JSON.stringify(value) ?? String(value));
}

function quoted(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
  if (text !== '' && !/[\s"=\\\u0000-\u001f\u007f-\u009f]/.test(text)) return text;
  return `"${printable(text.replace(/[\\"]/g, '\\$&'))}"`;
}

function cleanKey(key: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
  return key === '' ? '_' : key.replace(/[\s"=\\\u0000-\u001f\u007f-\u009f]/g, '_');
}

function isNested(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0
  );
}

function isError(value: unknown): value is SerializedError {
  if (!isNested(value)) return false;
  return [value.type, value.message, value.stack].every((part) => typeof part === 'string');
}

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
const ownFolder = fileURLToPath(new URL('..', import.meta.url));

function describe(run: readonly string[]): string {
  const owners = (['Node', 'node_modules', 'rom-agent'] as const).filter((owner) =>
    run.some((line) => whose(line) === owner),
  );
  return `${run.length} ${run.length === 1 ? 'frame' : 'frames'} of ${owners.join(' and ')}`;
}
