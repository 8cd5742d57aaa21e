import type { Millis } from '../protocol/limits.js';
import { fingerprintOf } from '../protocol/requests.js';
import { costInWords, type RouteCost } from '../protocol/route-cost.js';
import { placeOf, type StallRecord } from '../protocol/stall.js';
import type { Event } from './events.js';
import type { Transaction } from './transaction.js';

/** A kind of request that takes much is told once, for as long as it goes on. Nothing is decided by it. */
export function costly(t: Transaction, { heavy }: Extract<Event, { type: 'costs' }>): void {
  const known = new Set(t.state.heavy);
  t.update({ heavy: heavy.map(({ kind }) => kind) });
  for (const cost of heavy) {
    if (known.has(cost.kind)) continue;
    t.log('info', costInWords(located(cost, t.state.lastStalls)), asFields(cost));
  }
}

/** With the function in which it was seen to block the event loop. */
export function located(cost: RouteCost, stalls: readonly StallRecord[]): RouteCost {
  const stall = cost.blocks ? stalls.find((each) => isOf(each, cost)) : undefined;
  return stall === undefined ? cost : { ...cost, where: placeOf(stall) };
}

/** Not one in which several kinds were in flight: any of them may have been the cause. */
function isOf({ cause, tookMs, requests }: StallRecord, { kind, loop }: RouteCost): boolean {
  if (cause !== 'code' || tookMs < loop.ms * leastOfStall || requests.length === 0) return false;
  return requests.every((request) => {
    const { method, route } = fingerprintOf(request);
    return `${method} ${route}` === kind;
  });
}

/** A stall that took much less than such a request takes was another thing. */
const leastOfStall = 0.5;

function asFields({ cpu, loop, requests }: RouteCost): Readonly<Record<string, number>> {
  return {
    cpuMs: round(cpu.ms),
    loopMs: round(loop.ms),
    cpuPercent: Math.round(cpu.share * 100),
    loopPercent: Math.round(loop.share * 100),
    requests,
  };
}

function round(ms: Millis): Millis {
  return Math.round(ms * 10) / 10;
}
