import { fileURLToPath } from 'node:url';
import type { RequestNote } from './requests.js';

/** What could be found out about a worker that does not answer. */
export interface Capture {
  /**
   * `running`: JavaScript runs; `stopped`: by a signal (SIGSTOP); `blocked`: in a call of the system; `starved`: it would
   * run but gets no CPU; `idle`: its event loop waits for something to do; `unknown`: it could not be found out.
   */
  readonly state: 'running' | 'stopped' | 'blocked' | 'starved' | 'idle' | 'unknown';
  /** The JavaScript stack, innermost first, as in an Error's `stack` without its first line; null: there is none. */
  readonly stack: string | null;
  /** `checkout (/srv/app/server.js:12:5)`: the innermost frame that is not Node's own; null: none. */
  readonly at: string | null;
  /** In flight at that moment; null: it could not be asked. */
  readonly requests: readonly RequestNote[] | null;
  /** More, in words: the child process that it waits for. */
  readonly detail: string | null;
}

/** The file of a script as V8 names it, by a path or a URL; what is no file stays as it is. */
export function scriptPath(name: string): string {
  try {
    return name.startsWith('file:') ? fileURLToPath(name) : name;
  } catch {
    return name;
  }
}

/**
 * What the master asks the thread that watches a worker's main thread, and what it is answered: a line of JSON each, over
 * a pipe that only these two have. Nothing listens for it.
 */

/** The pipe's descriptor in the worker, and its place among the `stdio` that the master forks with. */
export const witnessFd = 4;

export interface Question {
  readonly id: number;
  /** ms, by which there is an answer. */
  readonly within: number;
}

/** As the debugger has it: https://chromedevtools.github.io/devtools-protocol/v8/Debugger/#type-CallFrame */
export interface Frame {
  readonly functionName: string;
  readonly url: string;
  readonly location: {
    readonly scriptId: string;
    readonly lineNumber: number;
    readonly columnNumber?: number;
  };
}

/**
 * `paused`: JavaScript ran; `idle`: it answers, and no JavaScript ran; `silent`: it does not answer, as in a call of the
 * system or in native code; `failed`: it could not be asked.
 */
export type Testimony =
  /** `requests` is what the worker says of itself: the app runs there too, and may have put anything in its place. */
  | { readonly state: 'paused'; readonly frames: readonly Frame[]; readonly requests: unknown }
  | { readonly state: 'idle'; readonly requests: unknown }
  | { readonly state: 'silent' }
  | { readonly state: 'failed'; readonly why: string };

/** What the main thread tells of its requests: see worker/health/last-word.ts. */
export const inFlightSymbol = 'rom-agent.inFlight';
