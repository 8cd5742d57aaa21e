import { setTimeout as sleep } from 'node:timers/promises';
import { startLoad } from '../../support/load.js';
import { signalPid } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';
import { figures } from './figures.js';
import type { App } from './peers.js';
import { type Contestant, contestants, type Run, startOne } from './run.js';
import { patience, type Service } from './service.js';

export interface OperationsPlan {
  readonly app: App;
  readonly major: number;
  readonly rounds: number;
}

/** Requests on kept connections and on ones of their own, paused so that they are no load to speak of. */
const clients = [
  { kind: 'keep-alive', count: 8, pauseMs: 10 },
  { kind: 'per-connection', count: 6, pauseMs: 5 },
] as const;
/** Answers before an operation: of processes that have just booted everything is slow. */
const warm = 500;
/** What is younger counts as a worker that does not boot, for some peers, ms. */
const adult = 1_200;

/** Reloads, and kills of a worker, under a light load: what they take, and what is lost meanwhile. */
export async function measureOperations(run: Run, { app, major, rounds }: OperationsPlan): Promise<void> {
  for (const contestant of contestants(run, { app, majors: [major] })) {
    if (contestant.peer.id === 'single') continue;
    await withService(run, contestant, async (service) => {
      if (service.reload === null) return;
      for (let round = 0; round < rounds; round += 1) await measureReload(run, contestant, service);
    });
    // Each in a service of its own: a second crash is answered later than the first, by those who back off.
    for (let round = 0; round < rounds; round += 1) {
      await withService(run, contestant, async (service) => {
        if (service.apart) await measureKill(run, contestant, service);
      });
    }
    run.say(`reloads and kills: ${contestant.peer.name}`);
  }
}

async function withService(
  run: Run,
  contestant: Contestant,
  use: (service: Service) => Promise<void>,
): Promise<void> {
  // The soak is for judging a release, not for replacing workers.
  const service = await startOne(run, contestant, { env: { ROM_AGENT_RELOAD_SOAK: '0' } });
  try {
    if (service !== null) await use(service);
  } catch (error) {
    run.say(`${contestant.peer.name}: ${error}`);
  } finally {
    await service?.stop();
  }
}

async function measureReload({ rounds }: Run, { subject }: Contestant, service: Service): Promise<void> {
  const load = startLoad({ port: service.port, path: service.path, clients });
  try {
    await load.reached(warm, patience);
    const took = (await service.reload?.()) ?? Number.NaN;
    rounds.add(figures.reload, subject, took);
    await load.reached(warm, patience);
  } finally {
    const { failed, refused } = await load.stop();
    rounds.add(figures.reloadLost, subject, failed + refused);
  }
}

/** From the kill to the first answer of a process that was not there before. */
async function measureKill({ rounds }: Run, { subject }: Contestant, service: Service): Promise<void> {
  const { workers } = await waitFor('two workers', service.processes, {
    timeout: patience,
    until: (processes) => processes.workers.length === 2,
  });
  await sleep(adult);
  const [victim] = workers;
  if (victim === undefined) return;
  let answeredAt: (at: number) => void = () => {};
  const replaced = new Promise<number>((resolve) => {
    answeredAt = resolve;
  });
  const old = new Set(workers);
  const watch = {
    answered: (body: string) => {
      const pid = Number(/"worker":"(\d+)/.exec(body)?.[1]);
      if (!old.has(pid)) answeredAt(performance.now());
    },
  };
  const load = startLoad({ port: service.port, path: service.path, clients, watch });
  try {
    await load.reached(warm, patience);
    const killedAt = performance.now();
    signalPid(victim, 'SIGKILL');
    const late = sleep(patience, Number.NaN, { ref: false });
    rounds.add(figures.replaced, subject, (await Promise.race([replaced, late])) - killedAt);
  } finally {
    const { failed, refused } = await load.stop();
    rounds.add(figures.killLost, subject, failed + refused);
  }
}
