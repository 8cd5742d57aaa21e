import type { JournalEntry } from '../../system/systemd/journal.js';
import type { Cast } from './scenario.js';

/** Somebody who runs the app as a service of a systemd. */
export interface Subject {
  readonly name: string;
  /** @throws Error where it cannot be started, with what it said */
  start(setup: Setup): Promise<Running>;
}

export interface Setup {
  /** Of the app, and of rom-agent. */
  readonly env?: Readonly<Record<string, string>>;
  /** Lines of [Service], after those of the unit. */
  readonly settings?: readonly string[];
}

/** A service that serves. */
export interface Running {
  readonly unit: string;
  readonly port: number;
  cast(): Promise<Cast>;
  /** PIDs, as inside, of the workers that its manager takes for ready. */
  ready(): Promise<number[]>;
  /** One reload as an operator asks for it: resolves once it is over or refused, and says which. */
  reload(): Promise<'done' | 'refused'>;
  /** What systemd calls it, and how often it has started it anew. */
  state(): Promise<{ readonly active: boolean; readonly restarts: number }>;
  /** All that is in its logs since its start, and in the journal of the unit. */
  log(): Promise<string>;
  /** The same as entries, of the journal alone. */
  entries(): Promise<JournalEntry[]>;
  stop(): Promise<void>;
}

/** Everybody has as many. */
export const workers = 2;
/** In the machine: what the app reads its orders from and writes to. */
export const place = '/run/rom-agent-faults';
