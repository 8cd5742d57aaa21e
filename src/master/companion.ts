import { type ChildProcess, spawn } from 'node:child_process';

/** A process beside the master that is no worker: nothing waits for it, and its death harms nobody. */
export interface Companion {
  /** Starts it, and again whenever it ends. */
  begin(): void;
  /** Ends it, without waiting for its end. */
  end(): void;
}

export interface CompanionHandle {
  kill(): void;
}

/** What every such process says; each may say more. */
export type CompanionMessage =
  | { readonly type: 'listening' }
  /** It ends, for this reason. */
  | { readonly type: 'failed'; readonly message: string }
  /** For the log. */
  | { readonly type: 'problem'; readonly message: string };

export interface CompanionEvents<Message> {
  readonly onMessage: (message: Message) => void;
  /** Once, also where it could not be started. @param how in words */
  readonly onEnd: (how: string) => void;
}

export interface CompanionSeam<Message extends { readonly type: string }> {
  readonly spawn: (on: CompanionEvents<Message>) => CompanionHandle;
  /** Calls back after so many ms; returns what prevents it. */
  readonly after: (ms: number, call: () => void) => () => void;
  /** A monotonic clock, ms. */
  readonly now: () => number;
  readonly info: (message: string) => void;
  readonly warn: (message: string) => void;
  /** What the log calls it: `the admin server`. */
  readonly what: string;
  readonly where: string;
  /** The first and the longest wait before it is started again, ms: a second and a minute unless given. */
  readonly firstDelay?: number;
  readonly longestDelay?: number;
  /** Hears what is not one of CompanionMessage. */
  readonly onOther?: (message: Exclude<Message, CompanionMessage>) => void;
  /** It has ended, and what was asked of it is not answered. */
  readonly onEnd?: () => void;
}

/** The first and the longest wait before it is started again, ms. */
const usualFirstDelay = 1_000;
const usualLongestDelay = 60_000;
/** One that lived for so long begins a new row of failures, ms. */
const proven = 60_000;

export function createCompanion<Message extends { readonly type: string }>(
  seam: CompanionSeam<Message>,
): Companion {
  const {
    after,
    now,
    info,
    warn,
    what,
    where,
    firstDelay = usualFirstDelay,
    longestDelay = usualLongestDelay,
  } = seam;
  let handle: CompanionHandle | null = null;
  let forget = (): void => {};
  let delay = firstDelay;
  let ended = false;
  /** What was said of the row of failures that is on; null: nothing yet. */
  let said: string | null = null;

  const start = (): void => {
    const begun = now();
    let reason: string | null = null;
    handle = seam.spawn({
      onMessage: (message) => {
        if (!isCommon(message)) seam.onOther?.(message as Exclude<Message, CompanionMessage>);
        else if (message.type === 'failed') reason = message.message;
        else if (message.type === 'problem') warn(message.message);
        else info(said === null ? `${what} listens on ${where}` : `${what} listens on ${where} again`);
      },
      onEnd: (how) => {
        handle = null;
        seam.onEnd?.();
        if (ended) return;
        if (now() - begun >= proven) [delay, said] = [firstDelay, null];
        const why = reason ?? `${what} ended (${how})`;
        if (said !== why) {
          warn(`${why}: starting it again in ${delay / 1_000} s, the service goes on without it`);
        }
        said = why;
        forget = after(delay, start);
        delay = Math.min(2 * delay, longestDelay);
      },
    });
  };
  return {
    begin: start,
    end: () => {
      ended = true;
      forget();
      handle?.kill();
    },
  };
}

function isCommon(message: { readonly type: string }): message is CompanionMessage {
  return message.type === 'listening' || message.type === 'failed' || message.type === 'problem';
}

/** What it gets of the environment: nothing that the app or the service manager is meant to have. */
const inherited = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR'];

export interface CompanionProcess<Message> {
  /** The file that it runs. */
  readonly main: string;
  /** The variable that it finds its settings in, as JSON. */
  readonly variable: string;
  readonly settings: object;
  /** Of its heap, MiB: a leak is to end this process and no other. */
  readonly heapLimit: number;
  readonly isMessage: (value: unknown) => value is Message;
  /** Whether this process lives for as long. */
  readonly keepsAlive?: boolean;
}

/** Starts the process. It ends when the channel to this process breaks. */
export function spawnCompanion<Message>(
  { main, variable, settings, heapLimit, isMessage, keepsAlive = false }: CompanionProcess<Message>,
  { onMessage, onEnd }: CompanionEvents<Message>,
): CompanionHandle & { send(message: object): void } {
  const env = Object.fromEntries(inherited.map((name) => [name, process.env[name]]));
  let child: ChildProcess;
  try {
    child = spawn(process.execPath, [`--max-old-space-size=${heapLimit}`, '--max-semi-space-size=1', main], {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      env: { ...env, NODE_ENV: 'production', [variable]: JSON.stringify(settings) },
    });
  } catch (error) {
    // Node reports some of fork's errors by an event and throws others: ENOMEM, E2BIG.
    queueMicrotask(() => onEnd((error as Error).message));
    return { kill: () => {}, send: () => {} };
  }
  let over = false;
  const end = (how: string): void => {
    if (over) return;
    over = true;
    onEnd(how);
  };
  child.on('message', (message: unknown) => {
    if (isMessage(message)) onMessage(message);
  });
  child.once('error', (error) => end(error.message));
  // Its last message may come after its exit.
  child.once('close', (code, signal) => end(signal ?? `exit status ${code}`));
  if (!keepsAlive) {
    child.unref();
    child.channel?.unref();
  }
  return {
    kill: () => void child.kill('SIGTERM'),
    // Where sending fails it is dying, and its end is reported.
    send: (message) => void (child.connected && child.send(message, undefined, undefined, () => {})),
  };
}
