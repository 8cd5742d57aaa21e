import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Contender, orderOf } from './contenders.js';
import { ab, wrk } from './load-tools.js';
import { pss } from './proc-figures.js';
import type { Figure, Samples } from './samples.js';
import { startService } from './service.js';

const started: Figure = {
  name: 'memory 5 s after the start',
  unit: 'MB PSS',
  digits: 1,
  target: { text: '<= 90', met: ({ median }) => median <= 90 },
};
const afterLoad: Figure = {
  name: 'memory idle 10 s after a load',
  unit: 'MB PSS',
  digits: 1,
  target: null,
};

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
    samples.add(started, contender, megabytes(pss(await service.pids())));
    await wrk(service.url, 2);
    await ab(service.url, 3_000);
    await sleep(10_000);
    samples.add(afterLoad, contender, megabytes(pss(await service.pids())));
  } finally {
    await service.stop();
  }
}

function megabytes(kilobytes: number): number {
  return (kilobytes * 1024) / 1e6;
}
