import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, openConnection } from '../../support/http-connection.js';
import { type Contender, daemon } from './contenders.js';
import { ab, type LoadResult, wrk } from './load-tools.js';
import { cpuTime } from './proc-figures.js';
import { summarise } from './samples.js';
import { type Service, startService } from './service.js';

/** The ways in which connections may reach the workers of the same daemon. */
const ways: readonly Contender[] = [
  { ...daemon, name: 'shared, balanced' },
  { ...daemon, name: 'shared', env: () => ({ ROM_AGENT_BALANCE: 'off' }) },
  { ...daemon, name: 'round-robin', env: () => ({ ROM_AGENT_DISPATCH: 'round-robin' }) },
];

const figures = [
  'busiest share of 64 after the burst, %',
  'busiest share of 64 two seconds later, %',
  'two clients on one worker after two seconds, % of rounds',
  'connections per second (ab)',
  'CPU of master and workers per connection, us',
  'keep-alive requests per second (wrk)',
  'CPU of master and workers per request, us',
] as const;
type Figure = (typeof figures)[number];

type Values = Map<Contender, Map<Figure, number[]>>;

/** How long a client waits between an answer and its next request, ms. */
const pause = 10;
/** Rates are measured in turns, so that a busy spell of the machine hits all of them. */
const turns = 3;

export async function measureBalance(rounds: number): Promise<string> {
  const values: Values = new Map(ways.map((way) => [way, new Map()]));
  for (let round = 0; round < rounds; round += 1) {
    const services = await startAll(round);
    try {
      for (const [way, service] of services) await measureShares(service, adder(values, way));
      for (let turn = 0; turn < turns; turn += 1) {
        for (const [way, service] of services) await measureRates(service, adder(values, way));
      }
    } finally {
      for (const service of services.values()) await service.stop();
    }
    process.stderr.write(`balance: round ${round + 1} of ${rounds}\n`);
  }
  return table(values);
}

async function startAll(round: number): Promise<Map<Contender, Service>> {
  const order = ways.map((_, place) => ways[(place + round) % ways.length] ?? daemon);
  const services = new Map<Contender, Service>();
  for (const way of order) services.set(way, await startService(way));
  return services;
}

type Add = (figure: Figure, value: number) => void;

function adder(values: Values, way: Contender): Add {
  const own = values.get(way) ?? new Map<Figure, number[]>();
  return (figure, value) => void own.set(figure, [...(own.get(figure) ?? []), value]);
}

async function measureShares({ url }: Service, add: Add): Promise<void> {
  const many = await clients(url, 64);
  add(figures[0], 100 * busiest(many.pids()));
  await sleep(2_000);
  add(figures[1], 100 * busiest(many.pids()));
  await many.end();
  const two = await clients(url, 2);
  await sleep(2_000);
  add(figures[2], busiest(two.pids()) === 1 ? 100 : 0);
  await two.end();
}

async function measureRates(service: Service, add: Add): Promise<void> {
  const measure = async (rate: Figure, cpu: Figure, load: () => Promise<LoadResult>): Promise<void> => {
    const before = cpuTime(service.pids);
    const { requests, requestsPerSecond } = await load();
    add(rate, requestsPerSecond);
    add(cpu, ((cpuTime(service.pids) - before) * 1000) / requests);
  };
  await measure(figures[3], figures[4], () => ab(service.url, 10_000).result);
  await measure(figures[5], figures[6], () => wrk(service.url, 2).result);
}

interface Clients {
  /** Of the workers that answered them last. */
  pids(): readonly number[];
  end(): Promise<void>;
}

/** So many connections at once, each in a closed loop. Resolves when each has its first answer. */
async function clients(url: string, count: number): Promise<Clients> {
  const { port, pathname } = new URL(url);
  const pids: number[] = [];
  let over = false;
  const ask = async (connection: Connection, nth: number): Promise<void> => {
    const { body } = await connection.request(`GET ${pathname} HTTP/1.1\r\nHost: bench\r\n\r\n`, 10_000);
    pids[nth] = (JSON.parse(body) as { pid: number }).pid;
  };
  const loop = async (connection: Connection, nth: number): Promise<void> => {
    while (!over) {
      await sleep(pause);
      await ask(connection, nth);
    }
    connection.close();
  };
  const connect = async (nth: number): Promise<Connection> => {
    const connection = await openConnection({ host: '127.0.0.1', port: Number(port) }, 10_000);
    await ask(connection, nth);
    return connection;
  };
  // All at once, and none asks again before all were answered.
  const connections = await Promise.all(Array.from({ length: count }, (_, nth) => connect(nth)));
  const loops = connections.map(loop);
  return {
    pids: () => [...pids],
    end: async () => {
      over = true;
      await Promise.all(loops);
    },
  };
}

function busiest(pids: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const pid of pids) counts.set(pid, (counts.get(pid) ?? 0) + 1);
  return Math.max(...counts.values()) / pids.length;
}

function table(values: Values): string {
  const rows = figures.map((figure) => [
    figure,
    ...ways.map((way) => cell(figure, valuesOf(values, way, figure), values)),
  ]);
  return [['', ...ways.map(({ name }) => name)], ...rows].map((row) => row.join(' | ')).join('\n');
}

/** The median with the least and the most, and the median of the ratios to the plain shared queue, turn by turn. */
function cell(figure: Figure, own: readonly number[], values: Values): string {
  if (figure === figures[2]) return (own.reduce((sum, value) => sum + value, 0) / own.length).toFixed(0);
  const plain = valuesOf(values, ways[1], figure);
  const { median, min, max } = summarise(own);
  const ratio = summarise(own.map((value, turn) => value / (plain[turn] ?? Number.NaN))).median;
  return `${median.toFixed(0)} (${min.toFixed(0)}-${max.toFixed(0)}) x${ratio.toFixed(2)}`;
}

function valuesOf(values: Values, way: Contender | undefined, figure: Figure): readonly number[] {
  return (way === undefined ? undefined : values.get(way)?.get(figure)) ?? [];
}
