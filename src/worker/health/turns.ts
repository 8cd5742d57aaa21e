import { performance } from 'node:perf_hooks';
import { setImmediate } from 'node:timers';
import type { Millis } from '../../protocol/limits.js';

/**
 * Tells a worker with something to do from an idle one, and wakes neither up. While the worker is idle, it hears of each
 * turn of the event loop as that ends; while it is busy, of none: timers of those that listen take over, which cost
 * less than a call for each of thousands of turns.
 *
 * The call is an immediate without a reference. Node runs immediates after each poll, and one without a reference does
 * not keep the loop from waiting for events (lib/internal/timers.js and CheckImmediate in src/env.cc of Node 20 to 26).
 */
export interface Turns {
  /** The first call counts. */
  begin(): void;
  readonly busy: () => boolean;
  /** `at`: ms of process.hrtime() */
  onChange(hear: (busy: boolean, at: Millis) => void): void;
  onTurn(hear: (turn: Turn) => void): void;
  /** Lets a worker without much to do since the last call be idle. Called by a timer once per interval. */
  settle(): void;
  /** The longest turn since the last call of those that it heard of, ms. */
  takeLongest(): Millis;
}

/** Times in ms of process.hrtime(). A turn begins when the one before ends: it waits for events first. */
export interface Turn {
  readonly from: Millis;
  readonly to: Millis;
  /** Without the wait for events. */
  readonly tookMs: Millis;
}

export interface TurnsSeam {
  /** Of the heartbeats, ms. */
  readonly interval: Millis;
  readonly now?: () => Millis;
  /** How long the event loop has waited for events since it began, ms. */
  readonly waited?: () => Millis;
  /** Calls at the end of the next turn, whenever that is. */
  readonly atTurn?: (act: () => void) => void;
}

/** Shares of the time between two heartbeats. A worker at rest takes 0.1 % for its own. */
const busyAbove = 0.02;
const idleBelow = 0.01;

export function followTurns({ interval, ...seam }: TurnsSeam): Turns {
  const { now = hrtime, waited = () => performance.nodeTiming.idleTime, atTurn = afterPoll } = seam;
  const toldOfChanges: ((busy: boolean, at: Millis) => void)[] = [];
  const toldOfTurns: ((turn: Turn) => void)[] = [];
  const look = (): Look => ({ at: now(), waited: waited() });
  let begun = false;
  let busy = false;
  let settled = look();
  let lastTurn = settled;
  let longest = 0;

  const become = (next: boolean): void => {
    busy = next;
    for (const hear of toldOfChanges) hear(busy, lastTurn.at);
    if (!busy) atTurn(ended);
  };
  const ended = (): void => {
    const before = lastTurn;
    lastTurn = look();
    const tookMs = workedBetween(before, lastTurn);
    longest = Math.max(longest, tookMs);
    for (const hear of toldOfTurns) hear({ from: before.at, to: lastTurn.at, tookMs });
    if (workedBetween(settled, lastTurn) > busyAbove * interval) become(true);
    else atTurn(ended);
  };
  return {
    begin: () => {
      if (begun) return;
      begun = true;
      settled = look();
      lastTurn = settled;
      atTurn(ended);
    },
    busy: () => busy,
    onChange: (hear) => void toldOfChanges.push(hear),
    onTurn: (hear) => void toldOfTurns.push(hear),
    settle: () => {
      const before = settled;
      settled = look();
      if (!busy || workedBetween(before, settled) >= idleBelow * (settled.at - before.at)) return;
      lastTurn = settled;
      become(false);
    },
    takeLongest: () => {
      const result = longest;
      longest = 0;
      return result;
    },
  };
}

interface Look {
  readonly at: Millis;
  readonly waited: Millis;
}

function workedBetween(before: Look, after: Look): Millis {
  return Math.max(0, after.at - before.at - (after.waited - before.waited));
}

/** Calls once the event loop has polled next, and does not keep it from waiting. */
export function afterPoll(act: () => void): void {
  setImmediate(act).unref();
}

export function hrtime(): Millis {
  return Number(process.hrtime.bigint()) / 1e6;
}
