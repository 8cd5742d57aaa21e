import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../support/net.js';
import { repoRoot, startDaemon } from '../../support/process.js';
import { closedLoad, type OpenReport, openLoad } from './open-loop.js';

/*
 * What `[shed]` does at three times the load that a service can bear, and what becomes of the same service without it, in
 * turns: docs/how-to/overload.md.
 */

interface Contender {
  readonly name: string;
  readonly app: string;
  readonly kept: boolean;
  readonly shed: Readonly<Record<string, string>>;
}

const late = { ROM_AGENT_SHED_EVENT_LOOP_DELAY: '20ms' };
const apps: readonly Contender[] = [
  { name: '5 ms of CPU, kept connections', app: 'cpu.cjs', kept: true, shed: late },
  { name: '5 ms of CPU, a connection each', app: 'cpu.cjs', kept: false, shed: late },
  {
    name: '20 ms of a pool of 10',
    app: 'pool.cjs',
    kept: true,
    shed: { ROM_AGENT_SHED_IN_FLIGHT: '15' },
  },
];

/** Of what the service can bear. */
const usual = 0.6;
const overload = 3;
const rounds = Number(process.env.BENCH_ROUNDS ?? 3);
const seconds = Number(process.env.BENCH_SECONDS ?? 8);

async function main(): Promise<void> {
  const rows = [
    '| app | load | [shed] | served/s | 503/s | lost/s | p50 ms | p99 ms |',
    '|---|---|---|---|---|---|---|---|',
  ];
  for (const contender of apps) {
    const measured = new Map<string, OpenReport[]>();
    for (let round = 0; round < rounds; round++) await roundOf(contender, measured);
    for (const [key, reports] of measured) rows.push(rowOf(`${contender.name} | ${key}`, reports));
  }
  process.stdout.write(
    `${rows.join('\n')}\n\nNode ${process.version}, one worker; medians of ${rounds} rounds of ${seconds} s\n`,
  );
}

/** Without and with, one after the other, each in a fresh service. */
async function roundOf({ app, kept, shed }: Contender, measured: Map<string, OpenReport[]>): Promise<void> {
  const note = (key: string, report: OpenReport): void => {
    measured.set(key, [...(measured.get(key) ?? []), report]);
    process.stderr.write(`${app} ${key}: ${JSON.stringify(report)}\n`);
  };
  let bears = 0;
  for (const settings of [{}, shed]) {
    await served(join(repoRoot, 'test/bench/overload/peers', app), settings, async (port) => {
      if (bears === 0) bears = await closedLoad(port, 24, 3);
      const load = { port, seconds, warmup: seconds / 4, kept };
      const isOff = settings !== shed;
      const word = isOff ? 'off' : 'on';
      note(`${usual}x | ${word}`, await openLoad({ ...load, rate: bears * usual }));
      note(`${overload}x | ${word}`, await openLoad({ ...load, rate: bears * overload }));
    });
  }
}

async function served(
  app: string,
  settings: Readonly<Record<string, string>>,
  measure: (port: number) => Promise<void>,
): Promise<void> {
  const hooks: (() => void)[] = [];
  const port = await freePort('127.0.0.1');
  const env = {
    PORT: String(port),
    HOST: '127.0.0.1',
    WORKERS: '1',
    LOG_LEVEL: 'warn',
    ROM_AGENT_HEALTH_STALL_REPORT: '0',
    ROM_AGENT_CONTROL_SOCKET: join(tmpdir(), `rom-agent-overload-${process.pid}.sock`),
    ...settings,
  };
  const daemon = startDaemon({
    t: { after: (hook) => void hooks.push(hook) },
    args: ['serve', app, '--log-level', 'info'],
    env,
  });
  try {
    await daemon.waitForLine(/serving with/);
    await measure(port);
  } finally {
    daemon.kill('SIGTERM');
    await daemon.waitForExit();
    for (const hook of hooks) hook();
  }
}

function rowOf(name: string, reports: readonly OpenReport[]): string {
  const median = (key: keyof OpenReport): string => {
    const values = reports.map((report) => report[key]).sort((one, other) => one - other);
    return (values[Math.floor(values.length / 2)] ?? 0).toFixed(key.startsWith('p') ? 1 : 0);
  };
  const cells = (['served', 'shed', 'lost', 'p50', 'p99'] as const).map(median);
  return `| ${name} | ${cells.join(' | ')} |`;
}

await main();
