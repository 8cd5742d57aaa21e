import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openNotifySocket } from '../../support/notify-socket.js';
import { waitFor } from '../../support/wait.js';
import { figures, growth, sizes } from './figures.js';
import { idleConnections, wrk } from './generators.js';
import type { App } from './peers.js';
import {
  type Contestant,
  contestants,
  type Run,
  type Running,
  rotated,
  startOne,
  stopAll,
  urlOf,
} from './run.js';
import { cpuOf, memoryOf, type Service } from './service.js';

/** One after another and alone; the first start of each is for the page cache and counts for nothing. */
export async function measureStarts(run: Run, { app, rounds }: { app: App; rounds: number }): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'rom-agent-bench-'));
  const notify = await openNotifySocket(join(folder, 'notify'));
  try {
    const all = contestants(run, { app });
    for (let round = -1; round < rounds; round += 1) {
      for (const contestant of rotated(all, round + 1)) {
        const service = await startOne(run, contestant, { notify });
        if (service === null) continue;
        const ready = await service.tookToReady();
        await service.stop();
        if (round < 0) continue;
        run.rounds.add(figures.answer, contestant.subject, service.tookToAnswer);
        if (ready !== null) run.rounds.add(figures.ready, contestant.subject, ready);
      }
      run.say(`starts: round ${round + 1} of ${rounds}`);
    }
  } finally {
    notify.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * All side by side, without a request after the first: memory after so many seconds, and CPU time for some seconds from
 * `restAfter` on, when V8 has collected the garbage of the start.
 */
export async function measureIdle(
  run: Run,
  { app, after, restAfter, seconds }: { app: App; after: number; restAfter: number; seconds: number },
): Promise<void> {
  const running: Running[] = [];
  try {
    for (const contestant of contestants(run, { app })) {
      const service = await startOne(run, contestant);
      if (service !== null) running.push({ ...contestant, service, processes: await service.processes() });
    }
    await sleep(after * 1_000);
    for (const { subject, processes, service } of running) {
      const { all, master } = memoryOf(processes);
      run.rounds.add(figures.idle, subject, all);
      if (service.apart && processes.master.length > 0) run.rounds.add(figures.idleMaster, subject, master);
    }
    await sleep((restAfter - after) * 1_000);
    const before = running.map(({ processes }) => cpuOf(processes));
    const begun = performance.now();
    await sleep(seconds * 1_000);
    for (const [place, { subject, processes }] of running.entries()) {
      const now = cpuOf(processes);
      const then = before[place] ?? now;
      const spent = now.master + now.workers - then.master - then.workers;
      run.rounds.add(figures.idleCpu, subject, (spent * 1_000) / (performance.now() - begun));
    }
    run.say('idle');
  } finally {
    await stopAll(running);
  }
}

/** Each size alone: until its CPU time stands still, and what it then holds. */
export async function measureGrowth(run: Run, { app, major }: { app: App; major: number }): Promise<void> {
  for (const workers of sizes) {
    for (const contestant of contestants(run, { app, workers, majors: [major] })) {
      // Idle, the two policies of node:cluster are the same.
      if (contestant.peer.id === 'rr') continue;
      const begun = performance.now();
      const service = await startOne(run, contestant, { workers });
      if (service === null) continue;
      try {
        await measureSize(run, contestant, { service, workers, begun });
      } catch (error) {
        run.say(`${contestant.peer.name}, ${workers} workers: ${error}`);
      } finally {
        await service.stop();
      }
      run.say(`growth: ${contestant.peer.name}, ${workers}`);
    }
  }
}

async function measureSize(
  { rounds }: Run,
  { subject }: Contestant,
  { service, workers, begun }: { service: Service; workers: number; begun: number },
): Promise<void> {
  const to = growth(workers);
  const there = async () => {
    const processes = await service.processes();
    return !service.apart || processes.workers.length >= workers;
  };
  await waitFor(`${workers} workers`, there, { timeout: 60_000 });
  const restedAt = await atRest(service, workers);
  rounds.add(to.settled, subject, (restedAt - begun) / 1_000);
  const processes = await service.processes();
  const before = cpuOf(processes);
  const from = performance.now();
  await sleep(2_000);
  const after = cpuOf(processes);
  const spent = after.master + after.workers - before.master - before.workers;
  rounds.add(to.cpu, subject, (spent * 1_000) / (performance.now() - from));
  const { all, master } = memoryOf(processes);
  rounds.add(to.memory, subject, all);
  if (service.apart && processes.master.length > 0) rounds.add(to.master, subject, master);
}

/** When half a second began in which it ran for less than 50 ms and 3 ms a worker. */
async function atRest(service: Service, workers: number): Promise<number> {
  const deadline = performance.now() + 40_000;
  const window = 500;
  for (;;) {
    const processes = await service.processes();
    const began = performance.now();
    const before = cpuOf(processes);
    await sleep(window);
    const after = cpuOf(processes);
    const spent = after.master + after.workers - before.master - before.workers;
    if (spent < 50 + 3 * workers) return began;
    if (performance.now() > deadline) throw new Error('is not at rest after 40 s');
  }
}

/** 10,000 kept connections that ask once and then nothing, and keep-alive load beside them. */
export async function measureConnections(
  run: Run,
  { app, major, count, seconds }: { app: App; major: number; count: number; seconds: number },
): Promise<void> {
  for (const contestant of contestants(run, { app, majors: [major] })) {
    const service = await startOne(run, contestant);
    if (service === null) continue;
    try {
      const processes = await service.processes();
      // So that the heap has grown for requests before it grows for connections.
      await wrk(urlOf(service), seconds);
      await sleep(1_000);
      const before = memoryOf(processes).all;
      const idle = await idleConnections(urlOf(service), count);
      await sleep(1_000);
      const kilobytes = ((memoryOf(processes).all - before) * 1_000) / idle.open;
      const [cpu, from] = [cpuOf(processes), performance.now()];
      await sleep(seconds * 1_000);
      const now = cpuOf(processes);
      const spent = now.master + now.workers - cpu.master - cpu.workers;
      const cpuPerSecond = (spent * 1_000) / (performance.now() - from);
      const { requestsPerSecond } = await wrk(urlOf(service), seconds);
      await idle.end();
      if (idle.open < count) run.say(`${contestant.peer.name}: ${idle.open} of ${count} connections`);
      const { rounds } = run;
      rounds.add(figures.connectionMemory, contestant.subject, kilobytes);
      rounds.add(figures.connectionCpu, contestant.subject, cpuPerSecond);
      rounds.add(figures.connectionRate, contestant.subject, requestsPerSecond);
    } catch (error) {
      run.say(`${contestant.peer.name}, ${count} connections: ${error}`);
    } finally {
      await service.stop();
    }
    run.say(`connections: ${contestant.peer.name}`);
  }
}
