import type { Capture } from '../protocol/capture.js';
import type { ScaleChange } from '../protocol/control-api.js';
import type { Failure } from '../protocol/death-record.js';
import type { Heartbeat } from '../protocol/heartbeat.js';
import type { Leak } from '../protocol/leak.js';
import type { Millis } from '../protocol/limits.js';
import type { WorkerKey } from '../protocol/messages.js';
import type { MirrorPair } from '../protocol/mirror.js';
import type { RequestNote } from '../protocol/requests.js';
import type { RouteCost } from '../protocol/route-cost.js';
import type { Stall } from '../protocol/stall.js';
/** Everything that can happen to the master. */
export type Event =
  /** `beside`: as a canary of one worker, while another master serves on the same sockets: see the event `alone`. */
  | { readonly type: 'start'; readonly beside?: true }
  /** The other master accepts no more: this one serves alone from now on. */
  | { readonly type: 'alone' }
  /**
   * Another master serves on the same sockets: the workers accept no more, and end with their connections, within
   * `patience` and a drain. WebSockets are told to go only when `patience` is over.
   */
  | { readonly type: 'retire'; readonly why: string; readonly patience: Millis }
  | { readonly type: 'forked'; readonly key: WorkerKey; readonly pid: number }
  | { readonly type: 'fork-failed'; readonly key: WorkerKey; readonly failure: Failure }
  /** The worker has loaded its app, and waits for the port, which another process has. */
  | { readonly type: 'waits'; readonly key: WorkerKey; readonly port: number }
  | { readonly type: 'ready'; readonly key: WorkerKey; readonly urls: readonly string[] }
  /** The worker says why it is about to die. `drains`: not before it is told to, and it can be given time. */
  | {
      readonly type: 'failed';
      readonly key: WorkerKey;
      readonly failure: Failure;
      readonly drains?: boolean;
    }
  | { readonly type: 'heartbeat'; readonly key: WorkerKey; readonly heartbeat: Heartbeat }
  /** The worker's listeners are closed; what it still has to answer, and how many connections it ever took. */
  | {
      readonly type: 'closed';
      readonly key: WorkerKey;
      readonly inFlight: number;
      readonly accepted: number;
    }
  /** The worker's answer to itself, asked for by `probe`; `failure` says what was wrong with it. */
  | {
      readonly type: 'probed';
      readonly key: WorkerKey;
      readonly failure: string | null;
      readonly tookMs: Millis;
    }
  /** The canary can be asked mirrored requests; `failure` says why it cannot. See the effect `mirror-open`. */
  | { readonly type: 'mirror-opened'; readonly key: WorkerKey; readonly failure: string | null }
  /** The canary was asked a request that an old worker had answered. */
  | { readonly type: 'mirrored'; readonly key: WorkerKey; readonly pair: MirrorPair }
  /** The worker has no connections left; the app's own ending follows. */
  | { readonly type: 'drained'; readonly key: WorkerKey }
  /** The worker's drain reached its deadline: what it had to cut. */
  | { readonly type: 'cut'; readonly key: WorkerKey; readonly requests: number; readonly connections: number }
  | {
      readonly type: 'exited';
      readonly key: WorkerKey;
      readonly code: number | null;
      readonly signal: string | null;
      /** Processes of the cgroup that the kernel has killed for memory since the last death, where it says so. */
      readonly oomKills?: number;
    }
  /** A spare has booted: all that it does not do is listen. */
  | { readonly type: 'spare'; readonly key: WorkerKey }
  /** The worker's last word on what it has in flight, at its end. */
  | {
      readonly type: 'current';
      readonly key: WorkerKey;
      readonly inFlight: number;
      readonly requests: readonly RequestNote[];
    }
  /** What was found out about a silent worker: see the effect `capture`. */
  | { readonly type: 'captured'; readonly key: WorkerKey; readonly capture: Capture }
  /** The worker has answered a request of its own, through its server: see the effect `prove`. */
  | { readonly type: 'proved'; readonly key: WorkerKey }
  /** The worker is kept from its heartbeats for so long, on demand (a heap snapshot); 0: it is not any more. */
  | { readonly type: 'excused'; readonly key: WorkerKey; readonly for: Millis }
  /** The worker's event loop was blocked, and turns again. */
  | { readonly type: 'stalled'; readonly key: WorkerKey; readonly stall: Stall }
  /** Which requests leave memory behind, by what the workers' heaps kept; in place of what was said before. */
  | { readonly type: 'leaks'; readonly leaks: readonly Leak[] }
  /** Kinds of requests that take much of the workers' CPU or event loops; the others do not. */
  | { readonly type: 'costs'; readonly heavy: readonly RouteCost[] }
  | MemoryReading
  /** How many connections wait to be accepted; null where the kernel does not say. See the effect `read-queue`. */
  | { readonly type: 'queue'; readonly waiting: number | null }
  | ReloadRequest
  /** Ends a reload by a rollback. */
  | ({ readonly type: 'abort' } & Asked)
  | ({ readonly type: 'scale'; readonly change: ScaleChange } & Asked)
  /** Replaces the worker of a slot by another of its generation. */
  | ({ readonly type: 'restart'; readonly slot: number } & Asked)
  /** `now`: do not wait for the drain. */
  | { readonly type: 'stop'; readonly why: string; readonly now: boolean }
  | { readonly type: 'tick' };

/** The memory of the cgroup, once a second where one limits it. */
export interface MemoryReading {
  readonly type: 'memory';
  /** Without what the kernel can take back at once (page cache), bytes. */
  readonly used: number;
  /** Where the kernel begins to throttle or to kill, bytes. */
  readonly limit: number;
  /** Share of the last ten seconds in which all of the cgroup waited for memory (PSI `full avg10`), 0 to 1; null: unknown. */
  readonly stalled: number | null;
}

/** Who asks, and the number under which the effect `answer` says what came of it. */
export interface Asked {
  readonly request: number;
  /** For the log and the records: `SIGHUP`, `alice`, `systemctl`. */
  readonly by: string;
}

export interface ReloadRequest extends Asked {
  readonly type: 'reload';
  /** Wall clock, ms since 1970: for the record. */
  readonly at: number;
  /** See ReloadRecord. */
  readonly serial: number;
  /** Its number, above all before it; the shell keeps what belongs to it. */
  readonly generation: number;
  /** What it serves, in words: a directory. */
  readonly release: string;
  /** Whether the canary is watched for a while. */
  readonly soak: boolean;
  /** Without: the new generation counts as proven from the start. */
  readonly rollback: boolean;
}
