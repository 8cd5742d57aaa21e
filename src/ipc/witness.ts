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

/** What the main thread tells of its requests: see worker/last-word.ts. */
export const inFlightSymbol = 'rom-agent.inFlight';
