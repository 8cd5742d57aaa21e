import type { Millis, WorkerKey } from './model.js';

/** Everything that the master can do to the world. */
export type Effect =
  | { readonly type: 'fork'; readonly key: WorkerKey; readonly slot: number; readonly generation: number }
  | { readonly type: 'drain'; readonly key: WorkerKey; readonly timeout: Millis }
  | { readonly type: 'kill'; readonly key: WorkerKey }
  | Notify
  | LogEffect
  /** The first generation serves: `urls` is where. */
  | { readonly type: 'serving'; readonly urls: readonly string[] }
  | { readonly type: 'exit'; readonly code: number };

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
