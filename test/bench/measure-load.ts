import { type Contender, orderOf } from './contenders.js';
import { ab, type LoadResult, wrk } from './load-tools.js';
import { cpuTime } from './proc-figures.js';
import type { Figure, Samples, Target } from './samples.js';
import { type Service, startService } from './service.js';

const cpuTarget: Target = { text: 'ratio <= 1.05', met: (_, { median }) => median <= 1.05 };
const noneFailed: Target = { text: '0', met: ({ max }) => max === 0 };

const keepAlive = figuresOf('keep-alive');
const perConnection = figuresOf('connection per request');

/** How often the two take turns within a round, a few seconds each time: a busy spell of the machine hits both. */
const turns = 3;

/** A round starts both services anew, so that how a process happened to warm up is no part of the result. */
export async function measureLoad(samples: Samples, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    await withServices(orderOf(round), async (services) => {
      for (const service of services.values()) await warmUp(service);
      await takeTurns(services, { samples, figures: perConnection, load: ({ url }) => ab(url, 10_000) });
      await takeTurns(services, { samples, figures: keepAlive, load: ({ url }) => wrk(url, 5) });
    });
    process.stderr.write(`load: round ${round + 1} of ${rounds}\n`);
  }
}

/** Until the hot code is compiled, and the heap has the size that it keeps. */
async function warmUp({ url }: Service): Promise<void> {
  await wrk(url, 2);
  await ab(url, 5_000);
}

type Services = ReadonlyMap<Contender, Service>;

interface Turns {
  readonly samples: Samples;
  readonly figures: LoadFigures;
  readonly load: (service: Service) => Promise<LoadResult>;
}

/** Adds one sample for each: the sum of its turns. */
async function takeTurns(services: Services, { samples, figures, load }: Turns): Promise<void> {
  const costs = new Map<Contender, Cost[]>();
  for (let turn = 0; turn < turns; turn += 1) {
    for (const [contender, service] of services) {
      costs.set(contender, [...(costs.get(contender) ?? []), await cost(service, () => load(service))]);
    }
  }
  for (const [contender, all] of costs) record(samples, figures, contender, all);
}

interface Cost extends LoadResult {
  /** Of master and workers, ms. */
  readonly cpu: number;
}

async function cost(service: Service, load: () => Promise<LoadResult>): Promise<Cost> {
  const pids = await service.pids();
  const before = cpuTime(pids);
  const result = await load();
  return { ...result, cpu: cpuTime(pids) - before };
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
  costs: readonly Cost[],
): void {
  const total = (of: (cost: Cost) => number): number => costs.reduce((sum, cost) => sum + of(cost), 0);
  samples.add(cpu, contender, (total((cost) => cost.cpu) * 1000) / total(({ requests }) => requests));
  samples.add(rate, contender, total(({ requestsPerSecond }) => requestsPerSecond) / costs.length);
  samples.add(
    failed,
    contender,
    total((cost) => cost.failed),
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
