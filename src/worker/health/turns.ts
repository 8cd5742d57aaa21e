import { performance } from 'node:perf_hooks';
import { setImmediate } from 'node:timers';
import type { Millis } from '../../protocol/limits.js';

/**
 * Tells a busy worker from one with little to do, and wakes neither up. While there is little to do, those that listen
 * hear of each turn of the event loop as that ends; while the worker is busy, of none: timers of theirs take over, which
 * cost less than a call for each of thousands of turns, but 66 wake-ups a second by default.
 *
 * The call is an immediate without a reference. Node runs immediates after each poll, and one without a reference does
 * not keep the loop from waiting for events (lib/internal/timers.js and CheckImmediate in src/env.cc of Node 20 to 26).
 */
export interface Turns {
  /** The first call counts. */
  begin(): void;
  readonly busy: () => boolean;
  /** The share of the last interval in which the event loop did not wait for events, 0 to 1. */
  readonly worked: () => number;
  /** `at`: ms of process.hrtime() */
  onChange(hear: (busy: boolean, at: Millis) => void): void;
  onTurn(hear: (turn: Turn) => void): void;
  /** Ends an interval: a worker that had little to do in it is no longer busy. Called by a timer once per interval. */
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
  /** How many turns there were since it began. */
  readonly count?: () => number;
  /** Calls at the end of the next turn, whenever that is. */
  readonly atTurn?: (act: () => void) => void;
}

/**
 * Shares of the time between two heartbeats, and turns a second. The wake-ups of a busy worker take up to 1 % and 150 turns,
 * on a loaded machine several times that share: both limits are far enough above for them not to keep the worker busy.
 */
const busyAbove = { share: 0.2, turns: 1_000 } as const;
const calmBelow = { share: 0.1, turns: 500 } as const;

export function followTurns({ interval, ...seam }: TurnsSeam): Turns {
  const { now = hrtime, waited = () => performance.nodeTiming.idleTime, atTurn = afterPoll } = seam;
  const { count = turnsOfLoop } = seam;
  const toldOfChanges: ((busy: boolean, at: Millis) => void)[] = [];
  const toldOfTurns: ((turn: Turn) => void)[] = [];
  const look = (): Look => ({ at: now(), waited: waited() });
  let begun = false;
  let busy = false;
  let settled = look();
  let settledCount = 0;
  let worked = 0;
  let lastTurn = settled;
  let longest = 0;
  /** Since the interval began; counted while those that listen hear of each. */
  let turns = 0;

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
    turns++;
    const { share, turns: many } = busyAbove;
    if (workedBetween(settled, lastTurn) > share * interval || turns > (many * interval) / 1_000)
      become(true);
    else atTurn(ended);
  };
  return {
    begin: () => {
      if (begun) return;
      begun = true;
      settled = look();
      settledCount = count();
      lastTurn = settled;
      atTurn(ended);
    },
    busy: () => busy,
    worked: () => worked,
    onChange: (hear) => void toldOfChanges.push(hear),
    onTurn: (hear) => void toldOfTurns.push(hear),
    settle: () => {
      const before = { ...settled, count: settledCount };
      settled = look();
      settledCount = count();
      turns = 0;
      const took = settled.at - before.at;
      worked = took > 0 ? workedBetween(before, settled) / took : 0;
      const { share, turns: few } = calmBelow;
      if (!busy || worked >= share || settledCount - before.count >= (few * took) / 1_000) return;
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

/** Node counts them since 20.18; its types for 20 do not know. */
function turnsOfLoop(): number {
  const { uvMetricsInfo } = performance.nodeTiming as { uvMetricsInfo?: { loopCount: number } };
  return uvMetricsInfo?.loopCount ?? 0;
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
