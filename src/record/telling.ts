import { newDeaths } from '../core/deaths.js';
import type { LogEffect } from '../core/effects.js';
import type { KeptDeath, Worker } from '../core/state.js';
import { isUp, nameIn, nameOf, slotOf } from '../core/workers.js';
import type { WorkerKey } from '../protocol/messages.js';
import type { WhyKind, WhyLine } from '../protocol/why.js';
import type { Turn } from './turn.js';

/** What has been decided so far, and from what. */
export interface Causes {
  /** Why the slot's next worker is forked. */
  readonly ofSlot: Map<number, string>;
  /** Why a worker was forked, or promoted. */
  readonly ofStart: Map<WorkerKey, string>;
  /** Why a worker drains, or was killed. */
  readonly ofEnd: Map<WorkerKey, string>;
  /** What is wrong with a worker that serves. */
  readonly ofIllness: Map<WorkerKey, string>;
}

export interface Said {
  readonly kind: WhyKind;
  readonly text: string;
  readonly cause?: string | null;
  readonly advice?: string | null;
  readonly worker?: Worker | undefined;
}

/** The narration of one turn: what has been said so far, and what those who go on need to know. */
export class Telling {
  readonly turn: Turn;
  readonly causes: Causes;
  readonly lines: WhyLine[] = [];
  /** Deaths of this turn that are still to be told, the oldest first. */
  readonly deaths: KeptDeath[];
  /** Of the drains that follow. */
  whyDrained: string | null = null;
  /** Of the drains that follow because fewer workers are wanted. */
  whyScaled: string | null = null;

  constructor(turn: Turn, causes: Causes) {
    this.turn = turn;
    this.causes = causes;
    this.deaths = [...newDeaths(turn.before, turn.after)].reverse();
  }

  say({ kind, text, cause = null, advice = null, worker }: Said): void {
    this.lines.push({
      at: new Date(this.turn.clockMs).toISOString(),
      worker: worker === undefined ? null : slotOf(worker),
      pid: worker?.pid ?? null,
      generation: worker?.generation ?? null,
      kind,
      text,
      cause,
      advice,
    });
  }

  /** What the log says of a worker. */
  sayOf(log: LogEffect, said: Omit<Said, 'worker'>): void {
    this.say({ ...said, worker: this.subjectOf(log) });
  }

  /** As it is after the turn; one that is gone, as it was. */
  worker(key: WorkerKey): Worker | undefined {
    const { before, after } = this.turn;
    const is = (worker: Worker): boolean => worker.key === key;
    return after.workers.find(is) ?? before.workers.find(is);
  }

  /** Whom the log is about: by its PID, or its name where it has none yet. */
  subjectOf({ message, fields }: LogEffect): Worker | undefined {
    const { before, after, event } = this.turn;
    const all = [...after.workers, ...before.workers];
    const key = 'key' in event ? event.key : null;
    const pid = fields?.workerPid;
    const [name] = /^(worker \d+|a spare|the canary)\b/.exec(message) ?? [];
    const named = all.filter((worker) => nameIn(after, worker) === name || nameOf(worker) === name);
    return (
      (typeof pid === 'number' ? all.find((each) => each.pid === pid) : undefined) ??
      named.find((each) => each.key === key) ??
      named.find(isUp)
    );
  }

  newestIn(slot: number): Worker | undefined {
    return this.turn.after.workers.findLast((worker) => slotOf(worker) === slot && worker.phase === 'ready');
  }

  servingIn(slot: number): Worker | undefined {
    const { before } = this.turn;
    return before.workers.find((worker) => slotOf(worker) === slot && isUp(worker));
  }

  hasLog(pattern: RegExp): boolean {
    return this.turn.effects.some((effect) => effect.type === 'log' && pattern.test(effect.message));
  }

  /** Who asked for it, as the log or the event has it. */
  asked({ fields }: LogEffect): string | null {
    const { event } = this.turn;
    const by = fields?.by ?? ('by' in event ? event.by : undefined);
    return typeof by === 'string' ? `asked by ${by}` : null;
  }
}
