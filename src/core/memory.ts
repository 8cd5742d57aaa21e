import type { Beat } from '../protocol/heartbeat.js';
import type { Millis } from '../protocol/limits.js';
import type { MemoryReading } from './events.js';
import type { Policy } from './policy.js';
import { chain, log, type Result, unchanged } from './result.js';
import { changeSlot, fillSlot, findSlot, isAwaited, retire } from './slots.js';
import type { State, Worker } from './state.js';
import { tellStatus } from './status.js';
import { workersIn } from './workers.js';

/** Readings in a row that have to be too high: a burst is over sooner. */
const readingsToAct = 3;
/** Share of the time in which all wait for memory that is too much, where nearly as much is used as may be. */
const stalledTooMuch = 0.1;
const nearly = 0.8;
/** A worker is worth replacing if it has grown by this factor, and by this much, since it was ready. */
const grownBy = 1.5;
const mebibyte = 2 ** 20;
const grownAtLeast = 32 * mebibyte;
/** From a replacement to the next: the kernel needs a moment to see what is free again. */
const quietTime: Millis = 10_000;
/** A slot is relieved once in this time: whoever grows faster needs another cure. The log is told as often. */
const reliefInterval: Millis = 600_000;

type Grown = Worker & { readonly beat: Beat };

/** Where the cgroup runs out of memory, the fattest worker goes before the kernel chooses one. */
export function memory(state: State, reading: MemoryReading, now: Millis, policy: Policy): Result {
  const share = policy.memory.pressure;
  const most = share * reading.limit;
  // Who waits for memory may wait for that of others: alone it says nothing about this cgroup.
  const isStalled = (reading.stalled ?? 0) >= stalledTooMuch && reading.used > nearly * most;
  const isHigh = share > 0 && (reading.used > most || isStalled);
  const readings = isHigh ? state.pressure.readings + 1 : 0;
  const next = withPressure(state, { readings }, now);
  return readings < readingsToAct ? unchanged(next) : relieve(next, reading, now, policy);
}

/** More processes would make it worse. */
export function isMemoryShort({ pressure }: State): boolean {
  return pressure.readings >= readingsToAct;
}

function relieve(state: State, reading: MemoryReading, now: Millis, policy: Policy): Result {
  const { slot, quietUntil } = state.pressure;
  const comes = state.workers.some(({ phase }) => phase === 'starting');
  const isBusy = state.reload !== null || slot !== null || comes || now < quietUntil;
  if (state.life.phase !== 'serving' || isBusy) return unchanged(state);
  const candidates = grown(state);
  const excess = reading.used - policy.memory.pressure * reading.limit;
  const gain = candidates.reduce((sum, worker) => sum + growthOf(worker), 0);
  // What others of the cgroup use, or what the workers began with, no replacement sets free.
  if (candidates.length === 0 || gain < excess) return helpless(state, { reading, gain, now });
  const fattest = candidates.find(({ slot }) => !wasRelieved(state, slot, now));
  if (fattest === undefined) return helpless(state, { reading, gain: null, now });
  const isOnly = state.workers.filter(({ phase }) => phase === 'ready').length === 1;
  const told: Result = [
    {
      ...changeSlot(state, fattest.slot, { relievedAt: now }),
      pressure: { ...state.pressure, slot: fattest.slot },
    },
    [announcement(fattest, reading, isOnly)],
  ];
  return chain(told, (next) =>
    isOnly
      ? fillSlot(next, { slot: fattest.slot, generation: fattest.generation }, now, policy)
      : drainFirst(next, { worker: fattest, now, policy }),
  );
}

/** Said once in a while: nothing is done. `gain`: what replacements would set free; null: there was one of each lately. */
function helpless(
  state: State,
  { reading, gain, now }: { reading: MemoryReading; gain: number | null; now: Millis },
): Result {
  const { helplessAt } = state.pressure;
  if (helplessAt !== null && now - helplessAt < reliefInterval) return unchanged(state);
  const total = state.workers.reduce((sum, { beat }) => sum + (beat?.rss ?? 0), 0);
  const why =
    gain === null
      ? `each worker that has grown was replaced within the last ${reliefInterval / 60_000} minutes`
      : `the workers have ${mebibytes(total)} MiB and have grown by ${mebibytes(gain)} MiB since they were ready`;
  return [
    { ...state, pressure: { ...state.pressure, helplessAt: now } },
    [
      log(
        'warn',
        `memory is short, ${mebibytes(reading.used)} of ${mebibytes(reading.limit)} MiB are used: ` +
          `replacing workers would not help, ${why}`,
      ),
    ],
  ];
}

function wasRelieved(state: State, id: number, now: Millis): boolean {
  const relievedAt = findSlot(state, id)?.relievedAt ?? null;
  return relievedAt !== null && now - relievedAt < reliefInterval;
}

/** The next one comes when it is gone: there is no memory for both. */
function drainFirst(
  state: State,
  { worker, now, policy }: { worker: Worker; now: Millis; policy: Policy },
): Result {
  const awaited = changeSlot(state, worker.slot, { forkAfter: worker.key });
  const drained = retire(awaited, worker, { now, policy, why: 'the memory is short' });
  return chain(drained, (next) => tellStatus(next, now, {}));
}

/** Workers whose replacement would set memory free, the fattest first. */
function grown(state: State): readonly Grown[] {
  return state.workers
    .filter((worker): worker is Grown => {
      const { phase, beat, slot, vitals } = worker;
      if (phase !== 'ready' || beat === null || findSlot(state, slot)?.forkAt !== null) return false;
      const first = vitals.firstRss ?? beat.rss;
      return beat.rss >= grownBy * first && beat.rss - first >= grownAtLeast;
    })
    .sort((a, b) => b.beat.rss - a.beat.rss);
}

function growthOf({ beat, vitals: { firstRss } }: Grown): number {
  return beat.rss - (firstRss ?? beat.rss);
}

function announcement({ slot, pid, beat, vitals }: Grown, reading: MemoryReading, isOnly: boolean) {
  const { used, limit, stalled } = reading;
  const has = `worker ${slot}, which has ${mebibytes(beat.rss)} MiB and began with ${mebibytes(vitals.firstRss ?? 0)}`;
  const how = isOnly ? 'replacing' : 'draining';
  return log(
    'warn',
    `memory is short, ${mebibytes(used)} of ${mebibytes(limit)} MiB are used: ${how} ${has}`,
    {
      workerPid: pid,
      ...(stalled === null ? {} : { stalledPercent: Math.round(stalled * 100) }),
    },
  );
}

/** Once a replacement is there, or has failed, it is quiet for a while. */
function withPressure(state: State, { readings }: { readings: number }, now: Millis): State {
  const { pressure } = state;
  const isOver = pressure.slot !== null && !isUnderWay(state, pressure.slot);
  const after = isOver ? { slot: null, quietUntil: now + quietTime } : {};
  if (!isOver && readings === pressure.readings) return state;
  return { ...state, pressure: { ...pressure, readings, ...after } };
}

function isUnderWay(state: State, id: number): boolean {
  const slot = findSlot(state, id);
  if (slot === undefined) return false;
  const starts = workersIn(state, id).some(({ phase }) => phase === 'starting');
  return starts || slot.forkAt !== null || isAwaited(state, slot);
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / mebibyte);
}
