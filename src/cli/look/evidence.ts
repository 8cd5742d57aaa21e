import { exitCodes } from '../../errors.js';
import type { SnapshotSummary } from '../../heap/summary.js';
import { bytes, holderInWords } from '../../heap/words.js';
import type { Found, StackAnswer } from '../../protocol/control-api.js';
import { longestProfile } from '../../protocol/limits.js';
import type { RequestNote } from '../../protocol/requests.js';
import { count } from '../../protocol/words.js';
import { wholeNumber } from '../arguments.js';
import { plain, span, type Terminal } from '../output.js';
import { type CommandExit, type Session, workerNumber } from '../session.js';

type Stack = Found<StackAnswer>;

/** `rom-agent stack <worker>`: what it does at this moment. */
export async function stackCommand(
  { client, terminal, by }: Session,
  worker: string,
  { json = false }: { readonly json?: boolean },
): Promise<CommandExit> {
  const found = await client.stack(workerNumber('stack', worker), by);
  if (json) terminal.printJson(found, 'pretty');
  else terminal.print(report(found, terminal));
  return exitCodes.ok;
}

function report(found: Stack, { paint }: Terminal): string {
  const { worker, pid, stack, detail, requests } = found;
  const colour = found.state === 'idle' || found.state === 'running' ? 'green' : 'red';
  const lines = [
    `worker ${worker} (pid ${pid}) ${paint(colour, inWords(found))}`,
    ...(detail === null ? [] : [detail]),
    ...(stack === null ? [] : [stack.replaceAll(/^(?! {4})/gm, '    ')]),
    ...(requests === null ? [] : requestLines(requests)),
  ];
  return `${lines.join('\n')}\n`;
}

function inWords({ state, at }: Stack): string {
  switch (state) {
    case 'running':
      return at === null ? 'runs' : `runs ${at}`;
    case 'idle':
      return 'is idle: no JavaScript runs in it';
    case 'stopped':
      return 'is stopped by a signal';
    case 'blocked':
      return 'is blocked in a system call';
    case 'starved':
      return at === null ? 'gets no CPU' : `gets no CPU, in ${at}`;
    case 'unknown':
      return 'is in an unknown state';
  }
}

function requestLines(requests: readonly RequestNote[]): readonly string[] {
  if (requests.length === 0) return ['no requests in flight'];
  const lines = requests.map(({ method, path, ageMs }) => `    ${method} ${path}  ${span(ageMs)}`);
  return [`${count(requests.length, 'request')} in flight`, ...lines];
}

/** `rom-agent profile <worker>`: the path of its file alone goes to standard output. */
export async function profileCommand(
  { client, terminal, by }: Session,
  worker: string,
  { seconds }: { readonly seconds: string },
): Promise<CommandExit> {
  const { path } = await client.profile(workerNumber('profile', worker), secondsIn(seconds), by);
  terminal.print(`${path}\n`);
  return exitCodes.ok;
}

/**
 * `rom-agent heap-snapshot <worker>`: the path of its file alone goes to standard output, what keeps the memory to standard
 * error.
 */
export async function heapSnapshotCommand(
  { client, terminal, by }: Session,
  worker: string,
  { summary = true }: { readonly summary?: boolean } = {},
): Promise<CommandExit> {
  const { path, bytes: size } = await client.heapSnapshot(workerNumber('heap-snapshot', worker), by);
  terminal.print(`${path}\n`);
  if (!summary) return exitCodes.ok;
  if (size > slowToRead)
    terminal.warn(`reading ${bytes(size)}: what keeps the memory; Ctrl-C leaves the file as it is`);
  const { readSummary } = await import('./heap-summary.js');
  const told = await readSummary(path);
  for (const sentence of 'problem' in told ? unread(told.problem) : keepersOf(told.summary)) {
    terminal.warn(plain(sentence));
  }
  return exitCodes.ok;
}

/** Bytes that take more than a second or two. */
const slowToRead = 64 * 1024 * 1024;

function unread(problem: string): readonly string[] {
  return [
    `the snapshot was not read: ${problem}; Chrome's developer tools read it (Memory, Load profile), and rom-agent dashboard`,
  ];
}

/** What keeps most of the memory; the rest where it is much, too. */
function keepersOf({ holders, totalBytes, objects }: SnapshotSummary): readonly string[] {
  const [first, ...others] = holders;
  if (first === undefined) {
    return [
      `nothing keeps much of the ${bytes(totalBytes)}: they are spread over ${count(objects, 'object')}`,
    ];
  }
  return [first, ...others.filter(({ share }) => share >= muchShare).slice(0, 2)].map(holderInWords);
}

const muchShare = 0.1;

function secondsIn(value: string): number {
  return wholeNumber('profile: --seconds', value, { most: longestProfile });
}
