import { keptStalls, type StallRecord, stallInWords } from '../protocol/stall.js';
import { inWords } from './deaths.js';
import type { Event } from './events.js';
import type { KeptStall } from './state.js';
import type { Transaction } from './transaction.js';
import { nameOf, slotOf } from './workers.js';

/** A worker's event loop was blocked: one entry of the log, and one of the stats. Nothing is decided by it. */
export function stalled(t: Transaction, { key, stall }: Extract<Event, { type: 'stalled' }>): void {
  const worker = t.worker(key);
  if (worker === undefined) return;
  const { pid, generation } = worker;
  const record: StallRecord = { ...stall, worker: slotOf(worker), pid, generation };
  const kept: KeptStall = { ...record, at: t.now };
  t.update({ lastStalls: [kept, ...t.state.lastStalls].slice(0, keptStalls) });
  t.emit({ type: 'stall', ...record });
  // A machine without a free CPU is no fault of the app.
  t.log(stall.cause === 'starved' ? 'info' : 'warn', `${nameOf(worker)} ${stallInWords(stall)}`, {
    workerPid: pid,
    tookMs: stall.tookMs,
    ...(stall.gcMs > 0 ? { gcMs: stall.gcMs } : {}),
    ...(stall.notRunMs > 0 ? { notRunMs: stall.notRunMs } : {}),
    ...(stall.looks > 1 && stall.share > 0 ? { sharePercent: Math.round(stall.share * 100) } : {}),
    ...(stall.requests.length > 0 ? { requests: stall.requests.map(inWords) } : {}),
    ...(stall.more > 0 ? { alike: `${stall.more} more of them since the last report` } : {}),
    ...(stall.stack === null ? {} : { stack: stall.stack }),
  });
}
