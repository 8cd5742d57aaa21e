/** A line of a file of the app. */
export interface Place {
  /** null: it has no name. */
  readonly function: string | null;
  /** Absolute. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

/** A request that a process has not answered yet. */
export interface Unanswered {
  readonly method: string;
  readonly path: string;
}

/** What a process of the app tells while it runs: a line of JSON each, in a file of the sandbox. */
export type Report = { readonly pid: number } & (
  | { readonly type: 'begun' }
  /** The app listens for a signal that means "end". */
  | { readonly type: 'handler'; readonly signal: string; readonly at: Place | null }
  /** The app ends its own process. */
  | {
      readonly type: 'exit';
      readonly by: 'process.exit' | 'process.abort' | 'process.kill';
      readonly at: Place | null;
      readonly unanswered: readonly Unanswered[];
    }
  /** The app destroys all connections of a server. */
  | { readonly type: 'cut'; readonly at: Place | null; readonly unanswered: readonly Unanswered[] }
  /** An error that nobody caught. */
  | {
      readonly type: 'uncaught';
      readonly origin: 'uncaughtException' | 'unhandledRejection';
      readonly message: string;
      readonly at: Place | null;
    }
  /** A request has arrived whose answer is held back. */
  | { readonly type: 'held'; readonly id: string }
);

/** What the rehearsal asks a process of the app to do: a line of JSON each, over a unix socket. */
export type Order =
  /** Collects garbage. Answered with the heap that is left. */
  | { readonly do: 'collect' }
  /** Notes who allocates from now on what is still there when `leaks` is asked. */
  | { readonly do: 'watch-heap' }
  | { readonly do: 'leaks' }
  /** Allocates until the heap is full. Not answered. */
  | { readonly do: 'fill' }
  /** Ends the answers that are held back, so many ms later. */
  | { readonly do: 'release'; readonly afterMs: number }
  /** What the time of the boot went into; only where the process was started with `profileFile` there. */
  | { readonly do: 'boot' };

export interface Heap {
  /** V8's heap and what buffers have outside of it, bytes. */
  readonly bytes: number;
}

/** Memory that was allocated in a function of the app, and is still there. */
export interface Allocation {
  readonly at: Place;
  readonly bytes: number;
}

/** What a boot spent its time with. */
export interface BootShare {
  /** `ran`: code of the app, or what it called; `waited`: for a timer or a connection that the app had begun. */
  readonly kind: 'ran' | 'waited';
  /** What was waited for: `a timer`, `a connection to 127.0.0.1:5432`; null where it ran. */
  readonly what: string | null;
  readonly at: Place;
  readonly ms: number;
}

/** Names of the files in a sandbox. */
export const reportsFile = 'reports.jsonl';
export const ordersSocket = 'orders.sock';
/** Variables of the app that the daemon must not take for its own settings, as JSON. */
export const environmentFile = 'environment.json';
/** While it is there, a process that begins notes what its boot takes. */
export const profileFile = 'profile-boot';

/** Names the sandbox to the processes in it, and by it they are found again. */
export const sandboxVariable = 'ROM_AGENT_REHEARSAL';
/** Marks the process that runs the app without a daemon. */
export const aloneVariable = 'ROM_AGENT_REHEARSAL_ALONE';

/** The answer to a request with it, an ID, is held back until `release`. */
export const holdHeader = 'x-rom-agent-hold';

/** The reports in the text of the file; a last line that is not complete yet is left out. */
export function parseReports(text: string): readonly Report[] {
  const end = text.lastIndexOf('\n');
  return text
    .slice(0, Math.max(0, end))
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Report);
}
