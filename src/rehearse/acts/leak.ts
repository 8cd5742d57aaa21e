import { setTimeout as sleep } from 'node:timers/promises';
import { type Sample, send, startLoad } from '../load.js';
import type { Leak } from '../observations.js';
import type { Allocation, Heap, Order } from '../reports.js';
import { answerLimit, readyPids, type Scene, until } from '../scene.js';

const requestsOfRound = 1_000;
const rounds = 3;
/** An app that is slow gets fewer requests, ms. */
const longestRound = 6_000;

/** A path that takes longer alone would leave too few requests for the others, ms. */
const longestAnswer = 250;

/** What the heaps have left of so many requests, again and again: what is filled once does not grow any more. */
export async function leak(all: Scene): Promise<Leak> {
  const { fast, slow } = await sorted(all);
  const scene = { ...all, samples: fast };
  const pids = await readyPids(scene);
  const each = (order: Order) => Promise.all(pids.map((pid) => scene.sandbox.order(pid, order)));
  const heap = async () =>
    ((await each({ do: 'collect' })) as (Heap | null)[]).reduce((sum, one) => sum + (one?.bytes ?? 0), 0);
  await requests(scene);
  const seen: Leak['rounds'][number][] = [{ requests: 0, heapBytes: await heap() }];
  await each({ do: 'watch-heap' });
  for (let round = 0; round < rounds; round++) {
    const sent = await requests(scene);
    seen.push({ requests: sent, heapBytes: await heap() });
  }
  const allocations = ((await each({ do: 'leaks' })) as (readonly Allocation[] | null)[]).flatMap(
    (found) => found ?? [],
  );
  return { act: 'leak', rounds: seen, allocations: merged(allocations), leftOut: slow };
}

/** Those that are quick enough; all of them, where none is. */
async function sorted({ samples, sandbox: { target } }: Scene) {
  const fast: Sample[] = [];
  const slow: Sample[] = [];
  for (const sample of samples) {
    const outcome = await send(sample, { target, agent: false, timeout: answerLimit });
    const isFast = outcome.kind === 'answered' && outcome.tookMs <= longestAnswer;
    (isFast ? fast : slow).push(sample);
  }
  return fast.length === 0 ? { fast: slow, slow: [] } : { fast, slow };
}

/** @returns how many were answered */
async function requests({ sandbox: { target }, samples, signal }: Scene): Promise<number> {
  const load = startLoad({ target, samples, keepAlive: 6, perConnection: 0, timeout: answerLimit, signal });
  await until(() => load.counts().answered >= requestsOfRound, longestRound);
  const { answered } = await load.stop();
  // The workers hear of the closed connections a moment later.
  await sleep(50);
  return answered;
}

function merged(all: readonly Allocation[]): readonly Allocation[] {
  const byPlace = new Map<string, Allocation>();
  for (const { at, bytes } of all) {
    const key = `${at.file}:${at.line}`;
    byPlace.set(key, { at, bytes: bytes + (byPlace.get(key)?.bytes ?? 0) });
  }
  return [...byPlace.values()].sort((a, b) => b.bytes - a.bytes);
}
