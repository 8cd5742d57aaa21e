import type { Heartbeat } from '../protocol/heartbeat.js';
import type { Millis } from '../protocol/limits.js';
import { count } from '../protocol/words.js';
import type { Vitals } from './state.js';
import type { Transaction } from './transaction.js';
import { nameOf, type Speaking, seconds } from './workers.js';

/** A worker that has shed nothing for so long serves every request again: the log has two lines for a time of overload. */
const calm: Millis = 30_000;

/** Has the log know when a worker begins to answer requests with 503 without the app, and when that is over. */
export function tellShed(t: Transaction, worker: Speaking, { shed }: Heartbeat): Vitals['shedding'] {
  const { shedding } = worker.vitals;
  if (shed === undefined) return null;
  const before = worker.heartbeat?.shed?.requests ?? 0;
  if (shed.requests > before) {
    if (shedding !== null) return { ...shedding, at: t.now };
    const { inFlight = 0 } = worker.heartbeat ?? {};
    const why =
      shed.why === 'late'
        ? 'it is behind by more than shed.event_loop_delay'
        : 'it has as many in flight as shed.in_flight allows';
    const what = `${count(shed.requests - before, 'request')} got 503 without the app`;
    t.log('warn', `${nameOf(worker)} sheds load: ${why}; ${what}`, { workerPid: worker.pid, inFlight });
    return { since: t.now, before, at: t.now };
  }
  if (shedding === null || t.now - shedding.at < calm) return shedding;
  const { since, at } = shedding;
  const what = `${count(shed.requests - shedding.before, 'request')} got 503 within ${seconds(at - since)}`;
  t.log('info', `${nameOf(worker)} serves every request again: ${what}`, { workerPid: worker.pid });
  return null;
}
