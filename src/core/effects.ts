import type { Answer } from '../protocol/control-api.js';
import type { Millis } from '../protocol/limits.js';
import type { WorkerKey } from '../protocol/messages.js';
import type { MirrorRules } from '../protocol/mirror.js';
import type { ReloadRecord, ReloadStep } from '../protocol/reload-record.js';
import type { Blocked } from '../protocol/requests.js';
import type { StallRecord } from '../protocol/stall.js';
import type { Role } from './state.js';

/** Everything that the master can do to the world. */
export type Effect =
  /** A spare boots and does not listen. */
  | { readonly type: 'fork'; readonly key: WorkerKey; readonly role: Role; readonly generation: number }
  /** Has a spare listen, in a slot; `ready` follows. */
  | { readonly type: 'promote'; readonly key: WorkerKey; readonly slot: number }
  /** Finds out what a silent worker does, within so long: `captured` follows in any case. */
  | { readonly type: 'capture'; readonly key: WorkerKey; readonly timeout: Millis }
  /** Has the worker answer a request of its own through its server; see the event `proved`. */
  | { readonly type: 'prove'; readonly key: WorkerKey; readonly timeout: Millis }
  /**
   * The requests that the worker is to keep from its app, in place of those before. `cell`: the worker to which it passes
   * them on; null: that does not serve at this moment; absent: there is none, and they are answered with 503.
   */
  | {
      readonly type: 'block';
      readonly key: WorkerKey;
      readonly requests: readonly Blocked[];
      readonly cell?: WorkerKey | null;
    }
  /** A worker boots that listens for the others only: see cell.ts. */
  | { readonly type: 'fork-cell'; readonly key: WorkerKey; readonly generation: number }
  /** Has `/readyz` of the worker answer 503 from now on, while it serves on. */
  | { readonly type: 'lame-duck'; readonly key: WorkerKey }
  | Drain
  /** Every listener of the service is closed: see Drain. */
  | { readonly type: 'release'; readonly key: WorkerKey }
  | { readonly type: 'kill'; readonly key: WorkerKey }
  /** Reads how many connections wait to be accepted; see the event `queue`. */
  | { readonly type: 'read-queue' }
  /** Has the worker send a heartbeat now. */
  | { readonly type: 'ask-heartbeat'; readonly key: WorkerKey }
  /** Has the worker answer a request of its own; see the event `probed`. */
  | { readonly type: 'probe'; readonly key: WorkerKey; readonly path: string; readonly timeout: Millis }
  /** Has a canary that does not listen get ready for mirrored requests, within so long; see the event `mirror-opened`. */
  | { readonly type: 'mirror-open'; readonly key: WorkerKey; readonly timeout: Millis }
  /** Has the worker tell the canary `to` of requests that it has answered, for so long; 0 a second: of none any more. */
  | {
      readonly type: 'mirror';
      readonly key: WorkerKey;
      readonly to: WorkerKey;
      readonly perSecond: number;
      readonly for: Millis;
      readonly rules: MirrorRules;
    }
  /** Has the worker hand so many of its kept connections on to another: see balance.ts. */
  | { readonly type: 'even-out'; readonly key: WorkerKey; readonly to: WorkerKey; readonly count: number }
  /** What came of a request: see Asked. */
  | { readonly type: 'answer'; readonly request: number; readonly answer: Answer }
  /** A reload got on. */
  | { readonly type: 'step'; readonly generation: number; readonly step: ReloadStep }
  /** A reload is over, or its record has changed since. */
  | { readonly type: 'record'; readonly record: ReloadRecord }
  /** The event loop of a worker was blocked. */
  | ({ readonly type: 'stall' } & StallRecord)
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
  /** How long connections may go on before the drain begins to end them; missing: not at all. A second drain ends it. */
  readonly patience?: Millis;
}

/** One datagram to the service manager; see sd_notify(3). */
export interface Notify {
  readonly type: 'notify';
  readonly ready?: true;
  readonly reloading?: true;
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
