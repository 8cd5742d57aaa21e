import type { Beat } from '../protocol/heartbeat.js';
import type { Millis } from '../protocol/limits.js';
import type { WorkerKey } from '../protocol/messages.js';
import type { ReloadRecord } from '../protocol/reload-record.js';

/** A reload that is under way. */
export interface Reload {
  readonly target: number;
  readonly startedAt: Millis;
  /** False where the new generation counts as proven from the start. */
  readonly rollback: boolean;
  readonly soak: boolean;
  readonly stage: Stage;
  /** Connections ever accepted when it began. */
  readonly acceptedBefore: number;
  readonly record: ReloadRecord;
}

export type Stage =
  /** The first worker of the new generation starts, beside the old ones. */
  | { readonly name: 'canary'; readonly key: WorkerKey }
  | Soak
  /** One slot after another gets a worker of the new generation, and then loses its old one. */
  | { readonly name: 'rolling' }
  /** Every slot gets back a worker of the proven generation, and then loses its new one. */
  | { readonly name: 'rollback'; readonly reason: string };

/** The canary serves, and is compared with the others. */
export interface Soak {
  readonly name: 'soak';
  readonly key: WorkerKey;
  readonly until: Millis;
  /** When beats are asked for next. */
  readonly askAt: Millis;
  /** When its probe must have been answered; null once it was. */
  readonly probeBy: Millis | null;
  /** What the others had done when it began. */
  readonly before: readonly { readonly key: WorkerKey; readonly beat: Beat }[];
}
