import type { MemoryReading } from './events.js';
import { changeSlot, fillSlot, findSlot } from './fork.js';
import type { Millis, State, Worker } from './model.js';
import type { Policy } from './policy.js';
import { chain, log, type Result, unchanged } from './result.js';
import { isAwaited, retire, workersIn } from './slots.js';
import type { Beat } from './stats.js';
import { tellStatus } from './status.js';

/** Readings in a row that have to be too high: a burst is over sooner. */
const readingsToAct = 3;
/** Share of the time in which all wait for memory that is too much. */
const stalledTooMuch = 0.1;
/** A worker is worth replacing if it has grown by this factor, and by this much, since it was ready. */
const grownBy = 1.5;
const mebibyte = 2 ** 20;
const grownAtLeast = 32 * mebibyte;
/** From a replacement to the next: the kernel needs a moment to see what is free again. */
const quietTime: Millis = 10_000;

type Grown = Worker & { readonly beat: Beat };

/** Where the cgroup runs out of memory, the fattest worker goes before the kernel chooses one. */
export function memory(state: State, reading: MemoryReading, now: Millis, policy: Policy): Result {
  const share = policy.memory.pressure;
  const isHigh =
    share > 0 && (reading.used > share * reading.limit || (reading.stalled ?? 0) >= stalledTooMuch);
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
  const [fattest] = grown(state);
  if (fattest === undefined) return unchanged(state);
  const isOnly = state.workers.filter(({ phase }) => phase === 'ready').length === 1;
  const told: Result = [
    { ...state, pressure: { ...state.pressure, slot: fattest.slot } },
    [announcement(fattest, reading, isOnly)],
  ];
  return chain(told, (next) =>
    isOnly
      ? fillSlot(next, { slot: fattest.slot, generation: fattest.generation }, now, policy)
      : drainFirst(next, { worker: fattest, now, policy }),
  );
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
  return isOver || readings !== pressure.readings
    ? { ...state, pressure: { ...pressure, readings, ...after } }
    : state;
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
