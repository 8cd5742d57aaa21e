import type { Millis } from '../protocol/limits.js';
import { ownPolicy, type Policy } from './policy.js';
import { changeSlot, fillSlot, findSlot, isMemoryShort } from './slots.js';
import type { Transaction } from './transaction.js';
import { isEnding, type Ready, seconds } from './workers.js';

/*
 * Recycling: a worker that has served for `max_age`, or answered `max_requests`, is replaced, the new one first. It hides a
 * leak until somebody finds it; gunicorn's max_requests and PM2's cron_restart are there for the same.
 */

/** Workers are forked together and get the same share of the load: each has its limit by so much earlier than the last. */
const spread = 0.1;
/** The replacement did not come up: when it is tried again. The old worker serves on. */
const again: Millis = 10 * 60_000;

/** One at a time, none during a reload, and none while another worker starts. */
export function recycle(t: Transaction): void {
  const { state } = t;
  if (state.reload !== null || isEnding(state.life) || state.life.phase !== 'serving') return;
  const due = state.workers.filter((worker): worker is Ready => whyDue(t, worker) !== null);
  if (due.length === 0 || isMemoryShort(state)) return;
  if (state.workers.some(({ phase }) => phase === 'starting')) return;
  // Who is longest over its limit has waited for the others.
  const worker = due.sort((one, other) => one.since - other.since).find((one) => isFree(t, one));
  if (worker === undefined) return;
  const { slot } = worker.role;
  changeSlot(t, slot, { recycledAt: t.now });
  t.log('info', `worker ${slot} is being recycled: ${whyDue(t, worker)}`, { workerPid: worker.pid });
  fillSlot(t, { slot, generation: worker.generation });
}

/** Nothing is on its way to the slot, and nothing has failed on it lately. */
function isFree({ state, now }: Transaction, { role, since }: Ready): boolean {
  const place = findSlot(state, role.slot);
  if (place === undefined || place.forkAt !== null || place.forkAfter !== null) return false;
  const { recycledAt } = place;
  return recycledAt === null || recycledAt < since || now - recycledAt >= again;
}

function whyDue(
  { now, policy }: Transaction,
  worker: Transaction['state']['workers'][number],
): string | null {
  if (worker.phase !== 'ready') return null;
  const { maxAge, maxRequests } = ownPolicy(policy, worker);
  const age = now - worker.since;
  if (maxAge > 0 && age >= limitOf(maxAge, worker)) return `it has served for ${seconds(age)}`;
  const requests = worker.heartbeat?.requests ?? 0;
  if (maxRequests > 0 && requests >= limitOf(maxRequests, worker)) {
    return `it has had ${requests} requests`;
  }
  return null;
}

/** The golden ratio spreads any run of keys evenly, and the same worker always has the same limit. */
function limitOf(most: Policy['maxAge'], { key }: Ready): number {
  return most * (1 - spread * ((key * 0.618_033_988_75) % 1));
}
