import type { Heartbeat } from '../protocol/heartbeat.js';
import { leakInWords } from '../protocol/leak.js';
import type { Millis } from '../protocol/limits.js';
import { mebibytes } from '../protocol/words.js';
import type { MemoryReading } from './events.js';
import { changeSlot, fillSlot, findSlot, isAwaited, isMemoryShort, retire } from './slots.js';
import type { State } from './state.js';
import { notifyIfChanged } from './status.js';
import type { Transaction } from './transaction.js';
import { type Ready, workersIn } from './workers.js';

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

type Grown = Ready & { readonly heartbeat: Heartbeat };

/** Where the cgroup runs out of memory, the fattest worker goes before the kernel chooses one. */
export function memory(t: Transaction, reading: MemoryReading): void {
  const share = t.policy.memory.pressure;
  const most = share * reading.limit;
  // Who waits for memory may wait for that of others: alone it says nothing about this cgroup.
  const isStalled = (reading.stalled ?? 0) >= stalledTooMuch && reading.used > nearly * most;
  const isHigh = share > 0 && (reading.used > most || isStalled);
  const readings = isHigh ? t.state.pressure.readings + 1 : 0;
  countReadings(t, readings);
  if (isMemoryShort(t.state)) relieve(t, reading);
}

/** Once a replacement is there, or has failed, it is quiet for a while. */
function countReadings(t: Transaction, readings: number): void {
  const { pressure } = t.state;
  const isOver = pressure.slot !== null && !isUnderWay(t.state, pressure.slot);
  if (!isOver && readings === pressure.readings) return;
  const after = isOver ? { slot: null, quietUntil: t.now + quietTime } : {};
  t.update({ pressure: { ...pressure, readings, ...after } });
}

function relieve(t: Transaction, reading: MemoryReading): void {
  const { life, reload, workers, pressure } = t.state;
  const { slot, quietUntil } = pressure;
  const comes = workers.some(({ phase }) => phase === 'starting');
  const isBusy = reload !== null || slot !== null || comes || t.now < quietUntil;
  if (life.phase !== 'serving' || isBusy) return;
  const candidates = grown(t.state);
  const excess = reading.used - t.policy.memory.pressure * reading.limit;
  const gain = candidates.reduce((sum, worker) => sum + growthOf(worker), 0);
  // What others of the cgroup use, or what the workers began with, no replacement sets free.
  if (candidates.length === 0 || gain < excess) return helpless(t, reading, gain);
  const fattest = candidates.find(({ role }) => !wasRelieved(t.state, role.slot, t.now));
  if (fattest === undefined) return helpless(t, reading, null);
  const isOnly = workers.filter(({ phase }) => phase === 'ready').length === 1;
  changeSlot(t, fattest.role.slot, { relievedAt: t.now });
  t.update({ pressure: { ...pressure, slot: fattest.role.slot } });
  announce(t, fattest, { reading, isOnly });
  if (isOnly) fillSlot(t, { slot: fattest.role.slot, generation: fattest.generation });
  else drainFirst(t, fattest);
}

/** Said once in a while: nothing is done. `gain`: what replacements would set free; null: there was one of each lately. */
function helpless(t: Transaction, reading: MemoryReading, gain: number | null): void {
  const { pressure, workers } = t.state;
  const { helplessAt } = pressure;
  if (helplessAt !== null && t.now - helplessAt < reliefInterval) return;
  const total = workers.reduce((sum, { heartbeat }) => sum + (heartbeat?.rssBytes ?? 0), 0);
  const why =
    gain === null
      ? `each worker that has grown was replaced within the last ${reliefInterval / 60_000} minutes`
      : `the workers have ${mebibytes(total)} MiB and have grown by ${mebibytes(gain)} MiB since they were ready`;
  t.update({ pressure: { ...pressure, helplessAt: t.now } });
  t.log(
    'warn',
    `memory is short, ${mebibytes(reading.used)} of ${mebibytes(reading.limit)} MiB are used: ` +
      `replacing workers would not help, ${why}`,
  );
}

function wasRelieved(state: State, id: number, now: Millis): boolean {
  const relievedAt = findSlot(state, id)?.relievedAt ?? null;
  return relievedAt !== null && now - relievedAt < reliefInterval;
}

/** The next one comes when it is gone: there is no memory for both. */
function drainFirst(t: Transaction, worker: Ready): void {
  changeSlot(t, worker.role.slot, { forkAfter: worker.key });
  retire(t, worker, 'the memory is short');
  notifyIfChanged(t);
}

/** Workers whose replacement would set memory free, the fattest first. */
function grown(state: State): readonly Grown[] {
  return state.workers
    .filter((worker): worker is Grown => {
      if (worker.phase !== 'ready' || worker.heartbeat === null) return false;
      const { heartbeat, role, vitals } = worker;
      if (findSlot(state, role.slot)?.forkAt !== null) return false;
      const first = vitals.firstRss ?? heartbeat.rssBytes;
      return heartbeat.rssBytes >= grownBy * first && heartbeat.rssBytes - first >= grownAtLeast;
    })
    .sort((a, b) => b.heartbeat.rssBytes - a.heartbeat.rssBytes);
}

function growthOf({ heartbeat, vitals: { firstRss } }: Grown): number {
  return heartbeat.rssBytes - (firstRss ?? heartbeat.rssBytes);
}

function announce(
  t: Transaction,
  { role, pid, heartbeat, vitals }: Grown,
  { reading, isOnly }: { reading: MemoryReading; isOnly: boolean },
): void {
  const { used, limit, stalled } = reading;
  const has = `worker ${role.slot}, which has ${mebibytes(heartbeat.rssBytes)} MiB and began with ${mebibytes(vitals.firstRss ?? 0)}`;
  const how = isOnly ? 'replacing' : 'draining';
  const [leak] = t.state.leaks;
  const why = leak === undefined ? '' : `; ${leakInWords(leak)}`;
  t.log(
    'warn',
    `memory is short, ${mebibytes(used)} of ${mebibytes(limit)} MiB are used: ${how} ${has}${why}`,
    {
      workerPid: pid,
      ...(stalled === null ? {} : { stalledPercent: Math.round(stalled * 100) }),
    },
  );
}

function isUnderWay(state: State, id: number): boolean {
  const slot = findSlot(state, id);
  if (slot === undefined) return false;
  const starts = workersIn(state, id).some(({ phase }) => phase === 'starting');
  return starts || slot.forkAt !== null || isAwaited(state, slot);
}
