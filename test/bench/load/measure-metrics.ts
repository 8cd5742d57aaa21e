import { join } from 'node:path';
import { repoRoot } from '../../support/process.js';
import { byTurns, type TurnsResult } from './by-turns.js';
import { type Contender, daemon } from './contenders.js';
import { wrk } from './load-tools.js';
import { cpuTime } from './proc-figures.js';
import { summarise } from './samples.js';
import { type Service, startService } from './service.js';

const peers = join(repoRoot, 'test', 'bench', 'load', 'peers');

interface Kind {
  readonly name: string;
  /** Arguments of `serve` besides those of the bench. */
  readonly args: readonly string[];
  readonly path: string;
  readonly scrape: string;
  /** Arguments of wrk. */
  readonly load: readonly string[];
}

const hello = [join(peers, 'hello.mjs'), '--routes-prefix', '/_ops'];
const kinds: readonly Kind[] = [
  { name: 'the built-in app', args: [], path: '/api/info', scrape: '/metrics', load: [] },
  { name: 'an app of one line', args: hello, path: '/orders/recent', scrape: '/_ops/metrics', load: [] },
  {
    name: 'an app of one line, each path another',
    ...{ args: hello, path: '/', scrape: '/_ops/metrics', load: ['-s', join(peers, 'paths.lua')] },
  },
];

/** The second `off` says what two that are the same differ by. */
const settings = ['on', 'off', 'off again'] as const;
type Setting = (typeof settings)[number];

/** Seconds of one run for each, and runs in a round. */
const seconds = 3;
const runs = 2;

/**
 * CPU time a request, of master and workers, with the metrics on and scraped once a run, and with them off: by turns of a tenth
 * of a second, in services that are started anew for each round.
 */
export async function measureMetrics(rounds: number): Promise<string> {
  const rows: string[] = [];
  for (const kind of kinds) {
    const costs: Record<Setting, number[]> = { on: [], off: [], 'off again': [] };
    for (let round = 0; round < rounds; round += 1) {
      const order = round % 2 === 0 ? settings : [...settings].reverse();
      const measured = await measureRound(kind, order);
      for (const setting of settings) costs[setting].push(measured[setting]);
      process.stderr.write(`metrics: ${kind.name}, round ${round + 1} of ${rounds}\n`);
    }
    const ratio = (a: Setting, b: Setting): string => {
      const { median, min, max } = summarise(
        costs[a].map((value, round) => value / (costs[b][round] ?? Number.NaN)),
      );
      return `${median.toFixed(3)} (${min.toFixed(3)}-${max.toFixed(3)})`;
    };
    const micros = (setting: Setting): string => summarise(costs[setting]).median.toFixed(1);
    rows.push(
      `${kind.name}: ${micros('on')} us a request with metrics, ${micros('off')} without: ratio ${ratio('on', 'off')}; ` +
        `off to off ${ratio('off again', 'off')}`,
    );
  }
  return rows.join('\n');
}

async function measureRound(kind: Kind, order: readonly Setting[]): Promise<Record<Setting, number>> {
  const services = new Map<Setting, Service>();
  const spent: Record<Setting, number> = { on: 0, off: 0, 'off again': 0 };
  const requests: Record<Setting, number> = { on: 0, off: 0, 'off again': 0 };
  try {
    for (const setting of order) services.set(setting, await startService(contender(kind, setting)));
    for (const service of services.values()) await warmUp(service, kind);
    for (let run = 0; run < runs; run += 1) {
      const results = await runAll(services, kind);
      for (const [setting, result] of results) {
        spent[setting] += result.spent;
        requests[setting] += result.requests;
      }
    }
  } finally {
    for (const service of services.values()) await service.stop();
  }
  const cost = (setting: Setting): number => (spent[setting] * 1_000) / requests[setting];
  return { on: cost('on'), off: cost('off'), 'off again': cost('off again') };
}

async function runAll(
  services: ReadonlyMap<Setting, Service>,
  kind: Kind,
): Promise<ReadonlyMap<Setting, TurnsResult>> {
  const loads = [...services].map(([setting, service]) => {
    const load = wrk(urlOf(service, kind.path), seconds * services.size, kind.load);
    return [setting, { load, meter: () => cpuTime(service.pids) }] as const;
  });
  const on = services.get('on');
  const scraped = on === undefined ? null : fetch(urlOf(on, kind.scrape)).then((answer) => answer.text());
  const results = await byTurns(new Map(loads));
  if (!(await scraped)?.includes('rom_agent_http_requests_total')) throw new Error('the scrape failed');
  return results;
}

async function warmUp(service: Service, kind: Kind): Promise<void> {
  for (let burst = 0; burst < 4; burst += 1) await wrk(urlOf(service, kind.path), 2, kind.load).result;
}

function contender(kind: Kind, setting: Setting): Contender {
  const enabled = setting === 'on' ? 'on' : 'off';
  return {
    ...daemon,
    args: (port) => [...daemon.args(port), '--metrics-enabled', enabled, ...kind.args],
    env: (port) => ({ PORT: `${port}` }),
  };
}

function urlOf({ url }: Service, path: string): string {
  return new URL(path, url).href;
}
