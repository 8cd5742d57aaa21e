import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { allProcesses, kill, signalGroup, withEnvironment } from '../processes.js';
import { deployMark } from '../protocol/deploy.js';
import type { Account } from './account.js';

export interface CommandOptions {
  readonly command: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** null: that of this process. */
  readonly account: Account | null;
  readonly timeoutMs: number;
  /** By which its processes are found, also by who goes on after this process. */
  readonly mark: string;
  readonly onLine: (text: string) => void;
  /** Asked again and again while it runs: why it is to be killed; null: it goes on. */
  readonly giveUp?: (() => string | null) | undefined;
}

export interface CommandResult {
  /** In words; null: it ended with status 0. */
  readonly failure: string | null;
  /** The last lines that it wrote. */
  readonly tail: readonly string[];
}

/** ms from SIGTERM to SIGKILL */
const killGrace = 2_000;
/** ms between two looks of `giveUp` */
const lookEvery = 20;
const tailLines = 20;
/** Characters of a line; the rest is cut. */
const longestLine = 2_000;

/** Runs a command without a shell, and ends every process that it leaves. Rejects with nothing. */
export async function runCommand(options: CommandOptions): Promise<CommandResult> {
  const { command, cwd, env, account, timeoutMs, mark, onLine, giveUp } = options;
  const [program = '', ...rest] = command;
  const tail: string[] = [];
  const take = (text: string): void => {
    const line = text.length > longestLine ? `${text.slice(0, longestLine)}…` : text;
    tail.push(line);
    if (tail.length > tailLines) tail.shift();
    onLine(line);
  };
  let child: ChildProcess;
  try {
    child = spawn(program, rest, {
      cwd,
      env: { ...env, PWD: cwd, [deployMark]: mark },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own, so that all of it can be ended.
      detached: true,
      ...(account === null ? {} : { uid: account.uid, gid: account.gid }),
    });
  } catch (error) {
    return { failure: explain(error, program), tail };
  }
  for (const stream of [child.stdout, child.stderr]) readLines(stream, take);
  const timer = new AbortController();
  const ended = new Promise<string | null>((resolve) => {
    child.once('error', (error) => resolve(explain(error, program)));
    child.once('exit', (code, signal) =>
      resolve(code === 0 ? null : signal === null ? `exit status ${code}` : `ended by ${signal}`),
    );
  });
  const late = sleep(timeoutMs, 'late' as const, { signal: timer.signal }).catch(() => 'late' as const);
  const looks = watch(giveUp);
  const first = await Promise.race([ended, late, looks.given]);
  looks.stop();
  timer.abort();
  if (first === 'late' && child.pid !== undefined) {
    signalGroup(child.pid, 'SIGTERM');
    await Promise.race([ended, sleep(killGrace)]);
  }
  if (child.pid !== undefined) signalGroup(child.pid, 'SIGKILL');
  await endMarked(mark);
  await Promise.race([closed(child), sleep(killGrace)]);
  child.stdout?.destroy();
  child.stderr?.destroy();
  const failure = first === 'late' ? `no end within ${timeoutMs / 1000} s: killed` : first;
  return { failure, tail };
}

/** The last lines that say something: the frames of a stack would leave no room for the error above them. */
export function lastWords(tail: readonly string[], most: number): string {
  const isFrame = (line: string): boolean => /^\s*(?:at .*|Node\.js v[\d.]+)?\s*$/.test(line);
  return tail
    .filter((line) => !isFrame(line))
    .slice(-most)
    .join(' / ');
}

/** `given` resolves with why it is given up, and never where nobody asks for that. */
function watch(giveUp: CommandOptions['giveUp']): {
  readonly given: Promise<string>;
  readonly stop: () => void;
} {
  let timer: NodeJS.Timeout | undefined;
  const given = new Promise<string>((resolve) => {
    if (giveUp === undefined) return;
    timer = setInterval(() => {
      const why = giveUp();
      if (why !== null) resolve(why);
    }, lookEvery);
  });
  return { given, stop: () => clearInterval(timer) };
}

/** Ends what bears the mark, also what has left its group or its parent. Only Linux tells. */
export async function endMarked(mark: string): Promise<void> {
  for (let round = 0; round < 20; round++) {
    const left = await markedProcesses(mark);
    if (left.length === 0) return;
    for (const pid of left) kill(pid);
    await sleep(50);
  }
}

async function markedProcesses(mark: string): Promise<readonly number[]> {
  const pids = await allProcesses().catch(() => []);
  return withEnvironment(`${deployMark}=${mark}`, pids);
}

function closed(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.pid === undefined || (child.stdout?.closed === true && child.stderr?.closed === true))
      resolve();
    child.once('close', () => resolve());
  });
}

function readLines(stream: NodeJS.ReadableStream | null, take: (line: string) => void): void {
  if (stream === null) return;
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split(/\r\n|\n|\r/);
    // What never ends a line must not fill the memory.
    rest = (lines.pop() ?? '').slice(0, longestLine + 1);
    for (const line of lines) take(line);
  });
  stream.on('end', () => {
    if (rest !== '') take(rest);
  });
  stream.on('error', () => {});
}

function explain(error: unknown, program: string): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return `there is no command ${program}`;
  return code === 'EACCES' || code === 'EPERM' ? `${program} cannot be started: ${code}` : message;
}

/** Has the file system write the release: what is renamed is complete after a loss of power, too. */
export async function syncTree(path: string): Promise<void> {
  const [command, ...rest] = process.platform === 'linux' ? ['sync', '-f', path] : ['sync'];
  await runCommand({
    command: [command ?? 'sync', ...rest],
    cwd: '/',
    env: { PATH: '/usr/bin:/bin' },
    account: null,
    timeoutMs: 120_000,
    mark: `sync ${process.pid}`,
    onLine: () => {},
  });
}
