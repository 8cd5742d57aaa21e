import { type Contender, orderOf } from './contenders.js';
import { ab, type LoadResult, wrk } from './load-tools.js';
import { cpuTime } from './proc-figures.js';
import type { Figure, Samples, Target } from './samples.js';
import { type Service, startService } from './service.js';

const cpuTarget: Target = { text: 'ratio <= 1.05', met: (_, { median }) => median <= 1.05 };
const noneFailed: Target = { text: '0', met: ({ max }) => max === 0 };

const keepAlive = figuresOf('keep-alive');
const perConnection = figuresOf('connection per request');

/** A round starts each service anew, so that how a process happened to warm up is no part of the result. */
export async function measureLoad(samples: Samples, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    for (const contender of orderOf(round)) {
      await withService(contender, async (service) => {
        await wrk(service.url, 2);
        await ab(service.url, 3_000);
        record(samples, perConnection, contender, await cost(service, () => ab(service.url, 10_000)));
        record(samples, keepAlive, contender, await cost(service, () => wrk(service.url, 4)));
      });
    }
    process.stderr.write(`load: round ${round + 1} of ${rounds}\n`);
  }
}

interface Cost extends LoadResult {
  /** Of master and workers, us. */
  readonly cpuPerRequest: number;
}

async function cost(service: Service, load: () => Promise<LoadResult>): Promise<Cost> {
  const pids = await service.pids();
  const before = cpuTime(pids);
  const result = await load();
  return { ...result, cpuPerRequest: ((cpuTime(pids) - before) * 1000) / result.requests };
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

function record(samples: Samples, figures: LoadFigures, contender: Contender, cost: Cost): void {
  samples.add(figures.cpu, contender, cost.cpuPerRequest);
  samples.add(figures.rate, contender, cost.requestsPerSecond);
  samples.add(figures.failed, contender, cost.failed);
}

async function withService(contender: Contender, use: (service: Service) => Promise<void>): Promise<void> {
  const service = await startService(contender);
  try {
    await use(service);
  } finally {
    await service.stop();
  }
}
