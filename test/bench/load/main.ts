import { cpus } from 'node:os';
import { heapLimitOf, policyOf } from './contenders.js';
import { measureBalance } from './measure-balance.js';
import { measureHeartbeats } from './measure-heartbeats.js';
import { measureLoad } from './measure-load.js';
import { measureMemory } from './measure-memory.js';
import { measureStart } from './measure-start.js';
import { report } from './report.js';
import { Samples } from './samples.js';

/** The parts of a run, in order; BENCH_ONLY names one or more of them. */
const parts = {
  start: (samples: Samples) => measureStart(samples, wanted('BENCH_STARTS', 11)),
  load: (samples: Samples) => measureLoad(samples, wanted('BENCH_ROUNDS', 5)),
  memory: (samples: Samples) => measureMemory(samples, Math.min(3, wanted('BENCH_ROUNDS', 5))),
  balance: async () => {
    process.stdout.write(`${await measureBalance(wanted('BENCH_ROUNDS', 5))}\n`);
  },
  heartbeats: async () => {
    process.stdout.write(`${await measureHeartbeats(wanted('BENCH_ROUNDS', 5))}\n`);
  },
};

/** A figure is no test: whatever comes out, the exit status is 0 unless the measuring itself failed. */
async function main(): Promise<void> {
  if (process.platform !== 'linux') {
    process.stderr.write('bench: needs /proc of Linux for CPU time and memory; nothing was measured\n');
    return;
  }
  const policy = policyOf(process.env);
  const limit = heapLimitOf(process.env);
  const peer = limit === null ? policy : `${policy}, heap limit ${limit} MiB`;
  const samples = new Samples();
  for (const part of wantedParts()) await parts[part](samples);
  const [cpu] = cpus();
  process.stdout.write(
    `\nNode ${process.version}, ${cpus().length} CPUs (${cpu?.model ?? 'unknown'}), bare node:cluster: ${peer}\n`,
  );
  if (samples.figures().length === 0) return;
  process.stdout.write('Medians (least-most); the ratio is the median of the ratios of the rounds\n\n');
  process.stdout.write(`${report(samples)}\n`);
}

function wanted(variable: string, otherwise: number): number {
  const text = process.env[variable];
  if (text === undefined || text === '') return otherwise;
  const count = Number(text);
  if (Number.isInteger(count) && count > 0) return count;
  throw new Error(`${variable}: ${JSON.stringify(text)}; expected a whole number from 1`);
}

function wantedParts(): readonly (keyof typeof parts)[] {
  const names = Object.keys(parts) as (keyof typeof parts)[];
  const only = process.env.BENCH_ONLY?.split(',') ?? [];
  const unknown = only.find((name) => !Object.hasOwn(parts, name));
  if (unknown !== undefined) throw new Error(`BENCH_ONLY: ${unknown}; expected some of ${names.join(', ')}`);
  return only.length === 0 ? names : names.filter((name) => only.includes(name));
}

try {
  await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
