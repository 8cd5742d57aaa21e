import { type Estimate, inMillis, type RouteCost } from '../../protocol/route-cost.js';
import type { ClusterStats } from '../../protocol/stats.js';
import { type Terminal, table } from '../output.js';

/** `rom-agent status --routes`: what each kind of request costs the workers. */
export function routeTable({ costs }: Pick<ClusterStats, 'costs'>, terminal: Terminal): string {
  if (costs === undefined || costs.routes.length === 0) return notYet;
  const heads = ['ROUTE', 'ANSWERS', 'CPU/REQUEST', 'OF CPU', 'LOOP/REQUEST', 'OF LOOP', 'BLOCKS'];
  const rows = costs.routes.map((cost) => cells(cost, terminal));
  const of = `from ${costs.overSeconds} s of the workers; ${percent(costs.restShare)} of their CPU goes with no request`;
  const text = table([heads.map((head) => terminal.paint('bold', head)), ...rows], {
    right: [1, 2, 3, 4, 5],
  });
  return `${text}\n${of}\n`;
}

const notYet =
  'nothing is known of the routes yet: that takes some minutes of requests, and metrics.enabled\n';

function cells(
  { kind, requests, cpu, loop, blocks, where, heavy }: RouteCost,
  { paint }: Terminal,
): string[] {
  const name = heavy === null ? kind : paint('yellow', kind);
  const held = blocks ? (where ?? 'yes') : '';
  return [
    name,
    String(requests),
    estimate(cpu),
    percent(cpu.share),
    estimate(loop),
    percent(loop.share),
    held,
  ];
}

/** `180 ms (170 to 190)`; `up to 3 ms` where it may as well be nothing. */
function estimate({ ms, lowMs, highMs }: Estimate): string {
  if (lowMs === 0) return `up to ${inMillis(highMs)} ms`;
  return `${inMillis(ms)} ms (${inMillis(lowMs)} to ${inMillis(highMs)})`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
