import { setTimeout as sleep } from 'node:timers/promises';
import { initialState } from '../../../src/core/state.js';
import { movesNobody, nextDeadline, step } from '../../../src/core/step.js';
import { servingEvents, simHeartbeat, simPolicy } from '../../simulation/sim-policy.js';
import { daemon } from './contenders.js';
import { cpuTime } from './proc-figures.js';
import { summarise } from './samples.js';
import { startService } from './service.js';

/** How many workers the policy alone is measured with, and how many real ones there are. */
const sizes = [64, 128, 256, 512, 1024] as const;
const real = 64;
/** For how long real workers are watched, ms. */
const watched = 20_000;
/** Seconds of the simulated cluster: the first ones are for the compiler. */
const warming = 4;
const measured = 10;

/** What a heartbeat a second of each worker costs the master, in percent of a CPU. */
export async function measureHeartbeats(rounds: number): Promise<string> {
  const rows: string[] = [];
  for (const soaking of [false, true]) {
    const costs = new Map<number, number[]>(sizes.map((size) => [size, []]));
    for (let round = 0; round < rounds; round += 1) {
      for (const size of sizes) costs.get(size)?.push(policyCost(size, soaking));
    }
    const what = soaking ? 'a canary is soaking' : 'nothing is under way';
    for (const [size, values] of costs) rows.push(`policy, ${size} workers, ${what}: ${percent(values)}`);
  }
  rows.push(`master, ${real} real workers without requests: ${percent([await masterCost()])}`);
  return rows.join('\n');
}

/** The simulated cluster: heartbeats of all workers, spread over each second, through the policy as the mailbox has it. */
function policyCost(workers: number, soaking: boolean): number {
  const reload = { soak: 1e9, probe: null };
  const policy = simPolicy({
    workers,
    evensOut: true,
    reload,
    restart: { intensity: 1e6 },
    bootTimeout: 1e9,
  });
  let state = initialState({ seed: 1 });
  let now = 0;
  const post = (event: Parameters<typeof step>[1]): void => {
    const before = state;
    [state] = step(before, event, now, policy);
    if (!movesNobody(before, event)) nextDeadline(state, policy);
  };
  for (const event of servingEvents(workers, { soaking })) post(event);
  const keys = state.workers.map(({ key }) => key);
  let began = process.cpuUsage();
  for (let second = 0; second < warming + measured; second += 1) {
    if (second === warming) began = process.cpuUsage();
    const heartbeat = simHeartbeat({ requests: second * 100, answers: second * 100, kept: 3 });
    for (const key of keys) {
      now += 1_000 / keys.length;
      post({ type: 'heartbeat', key, heartbeat });
    }
    post({ type: 'tick' });
  }
  const { user, system } = process.cpuUsage(began);
  return (user + system) / 1e6 / measured;
}

async function masterCost(): Promise<number> {
  const args = (port: number) =>
    daemon.args(port).with(daemon.args(port).indexOf('--workers') + 1, `${real}`);
  const service = await startService({ ...daemon, args }, { patience: 180_000 });
  try {
    const master = service.pids.slice(0, 1);
    // What follows READY is over: what is read ahead, the self-tests of the workers.
    await sleep(watched / 2);
    const before = cpuTime(master);
    const began = performance.now();
    await sleep(watched);
    return (cpuTime(master) - before) / (performance.now() - began);
  } finally {
    await service.stop();
  }
}

function percent(shares: readonly number[]): string {
  const { median, min, max } = summarise(shares.map((share) => share * 100));
  const range = min === max ? '' : ` (${min.toFixed(2)}-${max.toFixed(2)})`;
  return `${median.toFixed(2)} %${range} of a CPU`;
}
