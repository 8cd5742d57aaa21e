import type { Millis } from '../protocol/limits.js';
import { extendBy, extendInterval } from '../protocol/limits.js';
import type { ReloadRecord } from '../protocol/reload-record.js';
import type { Health } from '../protocol/stats.js';
import { waitText } from '../protocol/wait-status.js';
import { count } from '../protocol/words.js';
import type { Notify } from './effects.js';
import { type Policy, statusInterval } from './policy.js';
import type { Reload, State, Stopping } from './state.js';
import type { Transaction } from './transaction.js';
import { isMirrored } from './workers.js';

/** Slots that somebody serves: while a worker is replaced, both it and the next are ready. */
export function servedSlots({ slots, workers }: State): number {
  const served = new Set<number>();
  for (const worker of workers) if (worker.phase === 'ready') served.add(worker.role.slot);
  return slots.filter(({ id }) => served.has(id)).length;
}

/** Spares that could take over. */
export function waitingSpares(state: State): number {
  return state.workers.filter((worker) => worker.phase === 'spare' && !isMirrored(state, worker)).length;
}

/** Sum of one figure of the last heartbeats. */
export function total(
  state: State,
  figure: 'requests' | 'accepted' | 'inFlight' | 'connections' | 'rssBytes',
): number {
  return state.workers.reduce((sum, { heartbeat }) => sum + (heartbeat?.[figure] ?? 0), 0);
}

/** Requests since the master's start, those of workers that are gone included. */
export function requestsServed(state: State): number {
  return state.traffic.gone + total(state, 'requests');
}

/** Connections since the master's start. */
export function connectionsAccepted(state: State): number {
  return state.traffic.acceptedGone + total(state, 'accepted');
}

/** The line that `systemctl status` shows. */
export function statusLine(state: State, now: Millis, { kind }: Pick<Policy, 'kind'>): string {
  const { life } = state;
  const ready = `${servedSlots(state)} of ${state.slots.length} workers ready${unwell(state)}${spares(state)}`;
  if (life.phase === 'starting') return `starting: ${ready}${waiting(state)}`;
  if (life.phase === 'serving' && life.leaving !== null) {
    const { why, until } = life.leaving;
    return `stopping (${why}): ${ready}, draining in ${Math.max(0, Math.ceil((until - now) / 1000))} s`;
  }
  if (life.phase === 'stopping') {
    // A failed unit keeps the last STATUS: there the reason is worth more than the progress.
    if (life.exitCode !== 0) return life.why;
    const left = count(state.workers.length, 'worker');
    const inFlight = kind === 'process' ? '' : ` ${count(total(state, 'inFlight'), 'request')} in flight,`;
    return `stopping (${life.why}): ${left} left,${inFlight} at most ${secondsLeft(life, now)} s`;
  }
  const { restarts, generation, traffic, reload } = state;
  const rate = kind === 'process' ? '' : ` ${traffic.perSecond} req/s,`;
  const usual = `${ready}, generation ${generation},${rate} ${count(restarts, 'restart')}`;
  return reload === null ? `${usual}${verdictOf(state)}` : `${stageOf(reload)}: ${usual}`;
}

function waiting({ workers }: State): string {
  const ports = workers.flatMap((worker) =>
    worker.phase === 'starting' && worker.waitsFor !== null ? [worker.waitsFor] : [],
  );
  const [port] = ports;
  return port === undefined ? '' : `, ${waitText(ports.length, port)}`;
}

/** Those whom the log was told of. */
function unwell({ workers }: State): string {
  const told = (health: Health) =>
    workers.filter(
      ({ phase, vitals }) => phase === 'ready' && vitals.told === health && vitals.health === health,
    ).length;
  const words = (['degraded', 'unhealthy'] as const).flatMap((health) =>
    told(health) === 0 ? [] : [`${told(health)} ${health}`],
  );
  return words.length === 0 ? '' : ` (${words.join(', ')})`;
}

function spares(state: State): string {
  const { wanted } = state.spares;
  return wanted === 0 || state.life.phase !== 'serving'
    ? ''
    : `, ${waitingSpares(state)} of ${count(wanted, 'spare')}`;
}

function stageOf({ target, stage }: Reload): string {
  if (stage.name === 'rollback') return `rolling back generation ${target}`;
  return `reloading to generation ${target} (${stage.name})`;
}

/** What came of the last reload stays to be seen until the next. */
function verdictOf({ lastReload }: State): string {
  return lastReload === null ? '' : `; ${verdictLine(lastReload)}`;
}

export function verdictLine({ verdict, generation, tookMs, reason }: ReloadRecord): string {
  const within = `${Math.round((tookMs ?? 0) / 100) / 10} s`;
  if (verdict === 'done') return `reload to generation ${generation} done in ${within}`;
  const what = verdict === 'rolled-back' ? 'rolled back' : verdict;
  return `reload to generation ${generation} ${what} after ${within}: ${reason ?? 'no reason'}`;
}

/** Sends the service manager the status if it has changed, and whatever else there is to say in any case. */
export function notifyIfChanged(t: Transaction, more: Omit<Notify, 'type' | 'status'> = {}): void {
  const status = statusLine(t.state, t.now, t.policy);
  if (status !== t.state.status) notifyStatus(t, more);
  else if (Object.keys(more).length > 0) t.emit({ type: 'notify', ...more });
}

/** Sends the service manager the status, changed or not, with whatever else there is to say. */
export function notifyStatus(t: Transaction, more: Omit<Notify, 'type' | 'status'>): void {
  const status = statusLine(t.state, t.now, t.policy);
  t.update({ status });
  const { extend, errno, ...news } = more;
  const rest = { ...(extend === undefined ? {} : { extend }), ...(errno === undefined ? {} : { errno }) };
  t.emit({ type: 'notify', ...news, status, ...rest });
}

/** Asks for more time with EXTEND_TIMEOUT_USEC, no more often than its interval; see sd_notify(3). */
export function extendDue(t: Transaction): void {
  const { timers } = t.state;
  if (t.now < timers.extendAt) return;
  t.update({ timers: { ...timers, extendAt: t.now + extendInterval } });
  notifyIfChanged(t, { extend: extendBy });
}

/** What is due by the clock: the rate, STATUS= and the statistics line. */
export function reportDue(t: Transaction): void {
  if (t.now >= t.state.timers.statusAt) {
    sampleRate(t);
    notifyIfChanged(t);
  }
  statisticsDue(t);
}

function sampleRate(t: Transaction): void {
  const { now, state } = t;
  const served = requestsServed(state);
  const { sampledAt, sampled } = state.traffic;
  const perSecond = now > sampledAt ? Math.round(((served - sampled) * 1000) / (now - sampledAt)) : 0;
  t.update({
    timers: { ...state.timers, statusAt: now + statusInterval },
    traffic: { ...state.traffic, sampledAt: now, sampled: served, perSecond: Math.max(0, perSecond) },
  });
}

function statisticsDue(t: Transaction): void {
  const { now, state, policy } = t;
  if (policy.log.statsInterval === 0 || now < state.timers.statisticsAt) return;
  if (state.life.phase !== 'serving') return;
  t.update({ timers: { ...state.timers, statisticsAt: now + policy.log.statsInterval } });
  t.log('info', `statistics: ${statusLine(state, now, policy)}`, {
    requests: requestsServed(state),
    inFlight: total(state, 'inFlight'),
    connections: total(state, 'connections'),
    rssBytes: total(state, 'rssBytes'),
    uptimeSeconds: Math.round((now - state.startedAt) / 1000),
  });
}

/** Until the workers that are left are killed, whole seconds. */
export function secondsLeft({ deadline }: Stopping, now: Millis): number {
  return Math.max(0, Math.ceil((deadline - now) / 1000));
}
