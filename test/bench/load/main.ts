import { cpus } from 'node:os';
import { measureBalance } from './measure-balance.js';
import { measureHeartbeats } from './measure-heartbeats.js';
import { measureMetrics } from './measure-metrics.js';

/** What the daemon's own parts cost, beside the same daemon without them; BENCH_ONLY names one or more. */
const parts = {
  balance: measureBalance,
  heartbeats: measureHeartbeats,
  metrics: measureMetrics,
} as const;

/** A figure is no test: whatever comes out, the exit status is 0 unless the measuring itself failed. */
async function main(): Promise<void> {
  if (process.platform !== 'linux') {
    process.stderr.write('bench: needs /proc of Linux for CPU time; nothing was measured\n');
    return;
  }
  for (const part of wantedParts()) process.stdout.write(`${await parts[part](wanted('BENCH_ROUNDS', 5))}\n`);
  const [cpu] = cpus();
  process.stdout.write(`\nNode ${process.version}, ${cpus().length} CPUs (${cpu?.model ?? 'unknown'})\n`);
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
