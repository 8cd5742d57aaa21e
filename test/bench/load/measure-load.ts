import { byTurns, type TurnsResult } from './by-turns.js';
import { type Contender, orderOf } from './contenders.js';
import { ab, type Load, wrk } from './load-tools.js';
import { cpuTime } from './proc-figures.js';
import type { Figure, Samples, Target } from './samples.js';
import { type Service, startService } from './service.js';

const cpuTarget: Target = { text: 'ratio <= 1.05', met: (_, { median }) => median <= 1.05 };
const noneFailed: Target = { text: '0', met: ({ max }) => max === 0 };

const keepAlive = figuresOf('keep-alive');
const perConnection = figuresOf('connection per request');

/** So many runs of the load generator make one sample. */
const runs = 3;

/** A round starts both services anew, so that how a process happened to warm up is no part of the result. */
export async function measureLoad(samples: Samples, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    await withServices(orderOf(round), async (services) => {
      for (const service of services.values()) await warmUp(service);
      await loadAll(services, { samples, figures: perConnection, load: ({ url }) => ab(url, 10_000) });
      await loadAll(services, {
        samples,
        figures: keepAlive,
        load: ({ url }) => wrk(url, 5 * services.size),
      });
    });
    process.stderr.write(`load: round ${round + 1} of ${rounds}\n`);
  }
}

/**
 * Until the hot code is compiled, and the heap has the size that it keeps: of the first 10,000 connections a third of the
 * CPU time is that of V8's compiler, of the second a sixth, from the fourth on next to nothing. What is compiled by then
 * knows connections that end with their first answer only: with ones that are kept, much of it is compiled once more.
 */
async function warmUp({ url }: Service): Promise<void> {
  await wrk(url, 2).result;
  await ab(url, 30_000).result;
  for (let burst = 0; burst < 6; burst += 1) await wrk(url, 1).result;
}

type Services = ReadonlyMap<Contender, Service>;

interface Measurement {
  readonly samples: Samples;
  readonly figures: LoadFigures;
  readonly load: (service: Service) => Load;
}

/** Adds one sample for each: the sum of its runs. */
async function loadAll(services: Services, { samples, figures, load }: Measurement): Promise<void> {
  const all: ReadonlyMap<Contender, TurnsResult>[] = [];
  for (let run = 0; run < runs; run += 1) {
    const loads = [...services].map(([contender, service]) => {
      return [contender, { load: load(service), meter: () => cpuTime(service.pids) }] as const;
    });
    all.push(await byTurns(new Map(loads)));
  }
  for (const contender of services.keys()) {
    record(
      samples,
      figures,
      contender,
      all.flatMap((run) => run.get(contender) ?? []),
    );
  }
}

interface LoadFigures {
  readonly cpu: Figure;
  readonly rate: Figure;
  readonly failed: Figure;
}

function figuresOf(name: string): LoadFigures {
  return {
    cpu: { name, unit: 'CPU us/request', digits: 1, target: cpuTarget },
    rate: { name, unit: 'requests/s', digits: 0, target: null },
    failed: { name, unit: 'failed', digits: 0, target: noneFailed },
  };
}

function record(
  samples: Samples,
  { cpu, rate, failed }: LoadFigures,
  contender: Contender,
  results: readonly TurnsResult[],
): void {
  const total = (of: (result: TurnsResult) => number): number =>
    results.reduce((sum, result) => sum + of(result), 0);
  samples.add(cpu, contender, (total(({ spent }) => spent) * 1000) / total(({ requests }) => requests));
  samples.add(rate, contender, total(({ requestsPerSecond }) => requestsPerSecond) / results.length);
  samples.add(
    failed,
    contender,
    total(({ failed: own }) => own),
  );
}

async function withServices(
  contenders: readonly Contender[],
  use: (services: Services) => Promise<void>,
): Promise<void> {
  const services = new Map<Contender, Service>();
  try {
    for (const contender of contenders) services.set(contender, await startService(contender));
    await use(services);
  } finally {
    for (const service of services.values()) await service.stop();
  }
}
