import { setTimeout as sleep } from 'node:timers/promises';
import { figures, type LatencyFigures, type LoadFigures } from './figures.js';
import { ab, busiestShare, type Latency, type Run as LoadRun, openLoop, wrk } from './generators.js';
import type { App } from './peers.js';
import { contestants, type Run, type Running, rotated, startOne, stopAll, urlOf } from './run.js';
import { cpuOf, memoryOf } from './service.js';

export interface LoadPlan {
  readonly app: App;
  readonly majors?: readonly number[];
  /** How often all are started anew. */
  readonly starts: number;
  /** After each start. */
  readonly rounds: number;
  /** Of wrk in a round, seconds. */
  readonly seconds: number;
  /** The first seconds of wrk, the first connections of ab, and load until 13 s are over; else 3 s of warm-up. */
  readonly cold: boolean;
  /** Requests a second on kept connections, with a rate below what each can; 0: not measured. */
  readonly rate: number;
  /** Seconds after the last load at which memory is looked at: 15, or 15 and 60. */
  readonly rests: readonly number[];
  /** After which starts. */
  readonly restsAt: 'each' | 'last';
}

const connections = 10_000;
/** Load before what counts as warm, s. */
const warming = 13;

/** Keep-alive and per-connection load, first cold, then warm in rounds, and the memory that is left of it. */
export async function measureLoad(run: Run, plan: LoadPlan): Promise<void> {
  const all = contestants(run, plan);
  for (let start = 0; start < plan.starts; start += 1) {
    const running: Running[] = [];
    try {
      for (const contestant of rotated(all, start)) {
        const service = await startOne(run, contestant);
        if (service === null) continue;
        const one = { ...contestant, service, processes: await service.processes() };
        running.push(one);
        await (plan.cold ? warmUpFromCold(run, one) : warmUp(one));
      }
      for (let round = 0; round < plan.rounds; round += 1) {
        await measureRound(run, plan, rotated(running, round));
        run.say(`${plan.app}: start ${start + 1} of ${plan.starts}, round ${round + 1} of ${plan.rounds}`);
      }
      const rests = plan.restsAt === 'each' || start === plan.starts - 1;
      if (rests && plan.rests.length > 0) await measureRests(run, plan, running);
    } finally {
      await stopAll(running);
    }
  }
}

async function warmUpFromCold(run: Run, one: Running): Promise<void> {
  const url = urlOf(one.service);
  const begun = performance.now();
  await measured(run, one, figures.coldKeepAlive, () => wrk(url, 3));
  await measured(run, one, figures.coldPerConnection, () => ab(url, connections));
  const left = Math.ceil(warming - (performance.now() - begun) / 1_000);
  if (left > 0) await wrk(url, left);
}

async function warmUp({ service }: Running): Promise<void> {
  await ab(urlOf(service), connections);
  await wrk(urlOf(service), 3);
}

async function measureRound(run: Run, plan: LoadPlan, running: readonly Running[]): Promise<void> {
  for (const one of running) {
    const result = await measured(run, one, figures.keepAlive, () => wrk(urlOf(one.service), plan.seconds));
    if (result !== null) addLatency(run, one, figures.saturated, result.latency);
  }
  for (const one of running)
    await measured(run, one, figures.perConnection, () => ab(urlOf(one.service), connections));
  if (plan.rate === 0) return;
  for (const one of running)
    await measureFixedRate(run, one, plan).catch((error) => run.say(`${one.peer.name}: ${error}`));
}

async function measureFixedRate(run: Run, one: Running, { rate, seconds }: LoadPlan): Promise<void> {
  const { rounds } = run;
  const before = cpuOf(one.processes);
  const result = await openLoop(urlOf(one.service), { rate, seconds });
  const after = cpuOf(one.processes);
  const spent = after.master + after.workers - before.master - before.workers;
  addLatency(run, one, figures.fixed, result.latency);
  rounds.add(figures.fixedFailed, one.subject, result.failed);
  rounds.add(figures.fixedCpu, one.subject, (spent * 1e3) / result.requests);
  rounds.add(figures.busiest, one.subject, 100 * busiestShare(result));
}

function addLatency(
  { rounds }: Run,
  { subject }: Running,
  to: LatencyFigures,
  { p50, p99, p999 }: Latency,
): void {
  rounds.add(to.p50, subject, p50);
  rounds.add(to.p99, subject, p99);
  rounds.add(to.p999, subject, p999);
}

/** Adds the figures of a load. One that fails has a round without a value, and the other peers go on. */
async function measured<R extends LoadRun>(
  { rounds, say }: Run,
  { subject, peer, processes, service }: Running,
  to: LoadFigures,
  load: () => Promise<R>,
): Promise<R | null> {
  const before = cpuOf(processes);
  try {
    const result = await load();
    const after = cpuOf(processes);
    const [master, workers] = [after.master - before.master, after.workers - before.workers];
    rounds.add(to.rate, subject, result.requestsPerSecond);
    rounds.add(to.cpu, subject, ((master + workers) * 1e3) / result.requests);
    if (service.apart) rounds.add(to.master, subject, (master * 1e3) / result.requests);
    rounds.add(to.failed, subject, result.failed);
    return result;
  } catch (error) {
    say(`${peer.name} on Node ${subject.node}: ${error}`);
    for (const figure of [to.rate, to.cpu]) rounds.add(figure, subject, Number.NaN);
    return null;
  }
}

/** Each has its last load, and is looked at when it has rested for so long, while others are loaded or rest. */
async function measureRests(run: Run, { rests }: LoadPlan, running: readonly Running[]): Promise<void> {
  const looks: Promise<void>[] = [];
  for (const one of running) {
    await wrk(urlOf(one.service), 1);
    await ab(urlOf(one.service), connections / 10);
    looks.push(look(run, one, rests));
  }
  await Promise.all(looks);
}

async function look({ rounds, say }: Run, one: Running, rests: readonly number[]): Promise<void> {
  const begun = performance.now();
  for (const rest of rests) {
    await sleep(Math.max(0, begun + rest * 1_000 - performance.now()));
    const { all } = memoryOf(one.processes);
    rounds.add(rest < 60 ? figures.afterLoad : figures.afterRest, one.subject, all);
  }
  say(`${one.peer.name} on Node ${one.node.major}: rested`);
}
