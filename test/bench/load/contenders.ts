import { join } from 'node:path';
import { mainPath, repoRoot } from '../../support/process.js';

/** A service that is measured; all of them serve the same answer with two workers. */
export interface Contender {
  readonly name: string;
  /** After `node`. */
  readonly args: (port: number) => readonly string[];
  readonly env: (port: number) => Readonly<Record<string, string>>;
  /** Whether it tells NOTIFY_SOCKET that it is ready. */
  readonly notifies: boolean;
}

/** What both print when both workers listen, as plain text or as the message of a JSON line. */
export const readyLine = /serving with \d+ workers/;

export const daemon: Contender = {
  name: 'rom-agent',
  args: (port) => [mainPath, 'serve', '--workers', '2', '--port', `${port}`],
  env: () => ({}),
  notifies: true,
};

/**
 * How node:cluster hands out connections, as its own variable names it: round-robin, which is its default and as even as
 * the daemon, or `none`, by the shared queue, as the daemon does.
 *
 * @throws Error where BENCH_POLICY is something else
 */
export function policyOf({ BENCH_POLICY }: NodeJS.ProcessEnv): 'none' | 'rr' {
  const policy = BENCH_POLICY || 'rr';
  if (policy === 'none' || policy === 'rr') return policy;
  throw new Error(`BENCH_POLICY: ${policy}; expected none or rr`);
}

/**
 * The heap limit of the bare cluster's processes, MiB; null: V8's own, some gigabytes. The daemon's workers have one of
 * 512 unless told.
 *
 * @throws Error where BENCH_HEAP_LIMIT is no such number
 */
export function heapLimitOf({ BENCH_HEAP_LIMIT }: NodeJS.ProcessEnv): number | null {
  if (BENCH_HEAP_LIMIT === undefined || BENCH_HEAP_LIMIT === '') return null;
  if (/^[1-9]\d*$/.test(BENCH_HEAP_LIMIT)) return Number(BENCH_HEAP_LIMIT);
  throw new Error(
    `BENCH_HEAP_LIMIT: ${JSON.stringify(BENCH_HEAP_LIMIT)}; expected a number of MiB such as 512`,
  );
}

export const bare: Contender = {
  name: 'bare node:cluster',
  args: () => [...heapFlags(), join(repoRoot, 'test', 'bench', 'load', 'peers', 'bare-cluster.mjs')],
  env: (port) => ({
    PORT: `${port}`,
    NODE_ENV: 'production',
    NODE_CLUSTER_SCHED_POLICY: policyOf(process.env),
  }),
  notifies: false,
};

function heapFlags(): readonly string[] {
  const limit = heapLimitOf(process.env);
  return limit === null ? [] : [`--max-old-space-size=${limit}`];
}

/** Who goes first changes from round to round: what the machine does meanwhile hits both alike. */
export function orderOf(round: number): readonly Contender[] {
  return round % 2 === 0 ? [daemon, bare] : [bare, daemon];
}
