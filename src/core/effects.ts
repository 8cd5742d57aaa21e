import type { Millis, WorkerKey } from './model.js';

/** Everything that the master can do to the world. */
export type Effect =
  | { readonly type: 'fork'; readonly key: WorkerKey; readonly slot: number; readonly generation: number }
  | Drain
  /** Every listener of the service is closed: see Drain. */
  | { readonly type: 'release'; readonly key: WorkerKey }
  | { readonly type: 'kill'; readonly key: WorkerKey }
  | Notify
  | LogEffect
  /** The first generation serves: `urls` is where. */
  | { readonly type: 'serving'; readonly urls: readonly string[] }
  | { readonly type: 'exit'; readonly code: number };

export interface Drain {
  readonly type: 'drain';
  readonly key: WorkerKey;
  readonly timeout: Millis;
  /**
   * Nobody goes on accepting. What the kernel has queued for a listening socket is reset when the last process closes
   * it, so that the worker must not cause new connections (by answering) from when it closes until it is released.
   */
  readonly last: boolean;
}

/** One datagram to the OS supervisor; see sd_notify(3). */
export interface Notify {
  readonly type: 'notify';
  readonly ready?: true;
  readonly stopping?: true;
  readonly watchdog?: true;
  readonly status?: string;
  readonly extend?: Millis;
  readonly errno?: number;
}

export interface LogEffect {
  readonly type: 'log';
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields?: Readonly<Record<string, unknown>>;
}
