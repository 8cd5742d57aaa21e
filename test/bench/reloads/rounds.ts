import { type ClientGroup, type LoadReport, startLoad } from '../../support/load.js';
import type { Contender, Reloadable } from './contender.js';

/** Kept connections that are busy, and some that rest for about as long as a drain keeps an idle one. */
const clients: readonly ClientGroup[] = [
  { kind: 'keep-alive', count: 12, pauseMs: 10 },
  { kind: 'keep-alive', count: 4, pauseMs: 450 },
  { kind: 'per-connection', count: 8, pauseMs: 5 },
  { kind: 'slow-body', count: 4 },
  { kind: 'pipelining', count: 4, pauseMs: 10 },
];

/** Answers between two reloads: every client has gone on with the new workers. */
const between = 100;

export interface Outcome {
  readonly name: string;
  /** What a reload took, ms. */
  readonly took: readonly number[];
  readonly load: LoadReport;
}

/** Reloads a service again and again under one load that never rests. */
export async function reloadUnderLoad(contender: Contender, rounds: number): Promise<Outcome> {
  const service = await contender.start();
  try {
    return await measure(service, { name: contender.name, rounds });
  } finally {
    await service.stop();
  }
}

async function measure(
  { port, reload, settled }: Reloadable,
  { name, rounds }: { name: string; rounds: number },
): Promise<Outcome> {
  const forEver = Number.MAX_SAFE_INTEGER;
  const load = startLoad({ port, clients, maxRequests: forEver, maxMs: 2 ** 31 - 1 });
  const took: number[] = [];
  try {
    await load.reached(between, 30_000);
    for (let round = 1; round <= rounds; round += 1) {
      took.push(await reload());
      await Promise.all([settled(), load.reached(between, 30_000)]);
      progress({ name, round, rounds, failed: load.counts().failed });
    }
  } catch (error) {
    await load.stop();
    throw error;
  }
  return { name, took, load: await load.stop() };
}

function progress({
  name,
  round,
  rounds,
  failed,
}: {
  name: string;
  round: number;
  rounds: number;
  failed: number;
}): void {
  if (round % 10 === 0 || round === rounds)
    process.stderr.write(`${name}: ${round} of ${rounds} reloads, ${failed} requests failed\n`);
}
