import { killGrace, lastAnswers, type Millis } from '../protocol/limits.js';
import type { WorkerKey } from '../protocol/messages.js';
import type { RequestNote } from '../protocol/requests.js';
import { backoff, random } from './backoff.js';
import { endedBy, inWords } from './deaths.js';
import type { Event } from './events.js';
import { blockAll, isAnyBlocked, keepBlocked } from './poison.js';
import { ownPolicy } from './policy.js';
import { isMemoryShort } from './slots.js';
import type { Cell, CellWorker, State } from './state.js';
import type { Transaction } from './transaction.js';
import { seconds } from './workers.js';

/*
 * The cell: one worker that serves the requests which `poison.block` would have answered with 503, and which may die of
 * them. It has no slot and listens on a unix socket of its own, to which the other workers pass such requests on. It runs
 * while any kind of request is kept out, in the proven generation. Whatever becomes of it says nothing of the service: its
 * deaths count neither for `restart.intensity` nor for a canary, and nobody is suspected for them. A kind of request that was
 * in flight when it died stays out for `poison.block` from then on.
 */

type OfCell = Extract<Event, { readonly key: WorkerKey }>;
type Exited = Extract<Event, { type: 'exited' }>;

/** Whether an event is one of the cell, and not of a worker. */
export function isOfCell({ cell }: State, event: Event): event is OfCell {
  return 'key' in event && cell.workers.some(({ key }) => key === event.key);
}

export function cellEvent(t: Transaction, event: OfCell): void {
  const worker = t.state.cell.workers.find(({ key }) => key === event.key);
  if (worker === undefined) return;
  switch (event.type) {
    case 'forked':
      return put(t, { ...worker, pid: event.pid });
    case 'ready':
      return ready(t, worker);
    case 'heartbeat':
      put(t, { ...worker, heartbeat: event.heartbeat, heardAt: t.now });
      return keepMemory(t, worker.key);
    case 'current':
      return put(t, { ...worker, lastWord: event.requests });
    case 'failed':
      // It answers what it has, and ends by itself.
      if (worker.phase === 'draining' || worker.phase === 'dying') return;
      put(t, {
        ...worker,
        phase: 'dying',
        why: event.failure.message,
        deadline: t.now + lastAnswers + killGrace,
      });
      return blockAll(t);
    case 'fork-failed':
      return gone(t, { ...worker, why: event.failure.message }, { code: null, signal: null });
    case 'exited':
      return gone(t, worker, event);
    // Nothing else that it may say changes what is done about it.
    default:
      return;
  }
}

/** Starts the cell where it is wanted, replaces one of an older generation, and ends it where nothing is kept out. */
export function settleCell(t: Transaction): void {
  const { cell, generation } = t.state;
  if (!isWanted(t)) {
    for (const worker of cell.workers.filter(isUp)) drain(t, worker, whyUnwanted(t.state));
    if (cell.forkAt !== null || cell.failures > 0) change(t, { forkAt: null, failures: 0 });
    return;
  }
  const up = cell.workers.filter(isUp);
  const current = up.find((worker) => worker.generation === generation);
  if (current?.phase === 'ready') {
    for (const worker of up)
      if (worker !== current) drain(t, worker, `generation ${generation} has taken over`);
  }
  if (current !== undefined || (cell.forkAt !== null && t.now < cell.forkAt) || isMemoryShort(t.state))
    return;
  const key = t.state.nextKey;
  const { bootTimeout } = ownPolicy(t.policy, { generation });
  const worker: CellWorker = {
    key,
    generation,
    pid: null,
    forkedAt: t.now,
    phase: 'starting',
    readyAt: null,
    deadline: t.now + bootTimeout,
    heardAt: t.now,
    heartbeat: null,
    lastWord: null,
    why: null,
  };
  t.update({ nextKey: key + 1 });
  change(t, { forkAt: null, workers: [...cell.workers, worker] });
  t.emit({ type: 'fork-cell', key, generation });
}

/** Kills a cell that does not listen, or end, in time, and one that is silent for longer than a request may take. */
export function keepCell(t: Transaction): void {
  for (const worker of t.state.cell.workers) {
    if (t.now < deadlineOf(worker, t)) continue;
    // It is gone as soon as the kernel has carried that out.
    put(t, {
      ...worker,
      phase: worker.phase === 'draining' ? 'draining' : 'dying',
      deadline: null,
      why: whyNow(worker, t),
    });
    t.emit({ type: 'kill', key: worker.key });
    if (worker.phase === 'ready') blockAll(t);
  }
}

export function cellDeadlines(state: State, policy: Transaction['policy']): readonly Millis[] {
  const { workers, forkAt } = state.cell;
  if (workers.length === 0 && forkAt === null) return [];
  const own = workers.map((worker) => deadlineOf(worker, { policy }));
  return forkAt === null || forkAt <= state.tickedAt ? own : [...own, forkAt];
}

/** Time that the master missed itself is not held against the cell. */
export function cellPostponed(cell: Cell, { missed, now }: { missed: Millis; now: Millis }): Cell {
  if (cell.workers.length === 0) return cell;
  return {
    ...cell,
    workers: cell.workers.map((worker) => ({
      ...worker,
      heardAt: Math.min(now, worker.heardAt + missed),
      deadline: worker.deadline === null ? null : worker.deadline + missed,
    })),
  };
}

function isWanted({ state, policy, now }: Transaction): boolean {
  return state.life.phase === 'serving' && policy.poison.cell === 'on' && isAnyBlocked(state, now);
}

function whyUnwanted({ life }: State): string {
  return life.phase === 'serving' ? 'no kind of request is kept out any more' : 'the service stops';
}

function isUp({ phase }: CellWorker): boolean {
  return phase === 'starting' || phase === 'ready';
}

function ready(t: Transaction, worker: CellWorker): void {
  if (worker.phase !== 'starting') return;
  put(t, { ...worker, phase: 'ready', readyAt: t.now, deadline: null, heardAt: t.now });
  t.log('info', 'the cell is ready', { tookMs: t.now - worker.forkedAt, workerPid: worker.pid });
  blockAll(t);
}

/** Who passes requests on learns of it first: what comes from then on is answered with 503. */
function drain(t: Transaction, worker: CellWorker, why: string): void {
  const timeout = ownPolicy(t.policy, worker).drainTimeout;
  put(t, { ...worker, phase: 'draining', deadline: t.now + timeout + killGrace });
  t.log('info', `the cell ends: ${why}`, { workerPid: worker.pid });
  if (worker.phase === 'ready') blockAll(t);
  t.emit({ type: 'drain', key: worker.key, timeout, last: false });
}

function keepMemory(t: Transaction, key: WorkerKey): void {
  const worker = t.state.cell.workers.find((each) => each.key === key);
  const limit = t.policy.poison.cellMemory ?? t.policy.memory.maxRss;
  if (worker?.phase !== 'ready' || limit === null) return;
  const used = worker.heartbeat?.rssBytes ?? 0;
  if (used <= limit) return;
  const why = `its resident set of ${mebibytes(used)} MiB is over its limit of ${mebibytes(limit)} MiB`;
  put(t, { ...worker, phase: 'dying', why, deadline: null });
  t.emit({ type: 'kill', key });
  blockAll(t);
}

function deadlineOf(worker: CellWorker, { policy }: Pick<Transaction, 'policy'>): Millis {
  if (worker.phase !== 'ready') return worker.deadline ?? Number.POSITIVE_INFINITY;
  return worker.heardAt + policy.poison.cellTimeout + ownPolicy(policy, worker).heartbeatInterval;
}

function whyNow(worker: CellWorker, { now, policy }: Pick<Transaction, 'now' | 'policy'>): string | null {
  if (worker.phase === 'starting')
    return `did not listen within ${seconds(ownPolicy(policy, worker).bootTimeout)}`;
  if (worker.phase === 'ready') return `silent for ${seconds(now - worker.heardAt)}`;
  return worker.why;
}

/** Its process is gone. */
function gone(t: Transaction, worker: CellWorker, exit: Pick<Exited, 'code' | 'signal' | 'oomKills'>): void {
  const { cell, life } = t.state;
  change(t, { workers: cell.workers.filter(({ key }) => key !== worker.key) });
  if (worker.phase === 'ready') blockAll(t);
  if (worker.phase === 'draining' || life.phase !== 'serving') return;
  const { restart } = t.policy;
  const kind = worker.readyAt === null ? 'boot' : 'crash';
  const isFirst = worker.readyAt !== null && t.now - worker.readyAt >= restart.window;
  const failures = (isFirst ? 0 : cell.failures) + 1;
  const [value, seed] = random(t.state.seed);
  const delay = backoff(kind, { failures, random: value, restart });
  t.update({ seed });
  change(t, { failures, deaths: cell.deaths + 1, forkAt: t.now + delay });
  const requests = worker.lastWord ?? worker.heartbeat?.current ?? [];
  if (kind === 'crash') keepBlocked(t, requests);
  tell(t, { worker, exit, requests, delay });
}

function tell(
  t: Transaction,
  {
    worker: { pid, why, forkedAt, readyAt },
    exit: { code, signal, oomKills = 0 },
    requests,
    delay,
  }: {
    readonly worker: CellWorker;
    readonly exit: Pick<Exited, 'code' | 'signal' | 'oomKills'>;
    readonly requests: readonly RequestNote[];
    readonly delay: Millis;
  },
): void {
  const cause = why ?? endedBy({ code, signal, oomKills });
  const what = readyAt === null ? 'could not start' : 'died';
  t.log('warn', `the cell ${what}, and no other worker: ${cause}`, {
    workerPid: pid,
    ...(code === null && signal === null ? {} : { code, signal }),
    uptimeSeconds: Math.round((t.now - forkedAt) / 1000),
    ...(requests.length === 0 ? {} : { requests: requests.map(inWords) }),
    restartInMs: delay,
  });
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
}

function change(t: Transaction, part: Partial<Cell>): void {
  t.update({ cell: { ...t.state.cell, ...part } });
}

function put(t: Transaction, changed: CellWorker): void {
  change(t, {
    workers: t.state.cell.workers.map((worker) => (worker.key === changed.key ? changed : worker)),
  });
}
