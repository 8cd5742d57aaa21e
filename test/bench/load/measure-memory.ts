import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Contender, orderOf } from './contenders.js';
import { ab, wrk } from './load-tools.js';
import { pss } from './proc-figures.js';
import type { Figure, Samples, Target } from './samples.js';
import { type Service, startService } from './service.js';

const target: Target = { text: '<= 90', met: ({ median }) => median <= 90 };
const started = figure('memory 5 s after the start', target);
/** V8 gives back the garbage of the start once it has seen some seconds without work. */
const settled = figure('memory idle 15 s after the start', target);
const afterLoad = figure('memory idle 15 s after a load', null);

/**
 * Runs a copy of the node binary that nobody else runs: with other node processes about (this one, to begin with)
 * they would carry a part of the binary's pages, and the figure would depend on their number.
 */
export async function measureMemory(samples: Samples, rounds: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'rom-agent-bench-'));
  try {
    const node = join(folder, 'node');
    await copyFile(process.execPath, node);
    for (let round = 0; round < rounds; round += 1) {
      for (const contender of orderOf(round)) await measureOne(samples, contender, node);
      process.stderr.write(`memory: round ${round + 1} of ${rounds}\n`);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measureOne(samples: Samples, contender: Contender, node: string): Promise<void> {
  const service = await startService(contender, { node });
  try {
    await sleep(5_000);
    samples.add(started, contender, memory(service));
    await sleep(10_000);
    samples.add(settled, contender, memory(service));
    await wrk(service.url, 2).result;
    await ab(service.url, 3_000).result;
    await sleep(15_000);
    samples.add(afterLoad, contender, memory(service));
  } finally {
    await service.stop();
  }
}

function figure(name: string, target: Target | null): Figure {
  return { name, unit: 'MB PSS', digits: 1, target };
}

function memory({ pids }: Service): number {
  return (pss(pids) * 1024) / 1e6;
}
