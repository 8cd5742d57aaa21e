import type { State, Worker } from '../../../src/core/state.js';
import { slotOf } from '../../../src/core/workers.js';
import type { Millis } from '../../../src/protocol/limits.js';
import type { WorkerKey } from '../../../src/protocol/messages.js';
import type { World } from './world.js';

/**
 * What decides how a world goes on, as a string. Two worlds with the same one are taken for the same: keys and
 * generations are named by their part, times are seen from now, and what is only told or counted is left out.
 */
export function canonical({ state, now, hung, ill, load, left }: World): string {
  const { slots, workers } = state;
  const dues = slots.map(
    ({ id, forkAt, forkAfter, crashes, bootFailures, treatedAt, relievedAt, recycledAt }) =>
      `${id}:${forkAt === null ? '' : forkAt - now}${crashes > 0 ? 'c' : ''}${bootFailures > 0 ? 'b' : ''}${treatedAt === null ? '' : 't'}` +
      `${relievedAt === null ? '' : 'm'}${recycledAt === null ? '' : 'r'}` +
      (forkAfter === null ? '' : `a${workers.findIndex(({ key }) => key === forkAfter)}`),
  );
  const people = workers.map(
    (worker) =>
      describe(state, worker, now) +
      (hung.includes(worker.key) ? '!' : '') +
      (ill.includes(worker.key) ? 'i' : '') +
      (left.shortages > 0 ? size(worker) : '') +
      (state.scaling.trend.lookedAt === null ? '' : `u${worker.vitals.utilization}`),
  );
  return [
    life(state, now),
    reload(state, now),
    state.deaths.length,
    apart(state, now),
    dues.join(),
    people.join(),
    scaling(state, now),
    load,
    Object.values(left).join(),
  ].join('|');
}

/** Nothing where the number of workers is fixed. */
function scaling({ scaling: { held, trend, reading } }: State, now: Millis): string {
  const { lookedAt, heat, demand, peaks, partSince, patience, fewerAt } = trend;
  if (lookedAt === null) return held ? 'h' : '';
  const seen = [lookedAt, partSince, fewerAt, reading?.at].map((at) => (at == null ? '' : now - at));
  return [held, ...seen, heat, demand?.toFixed(2), peaks.join(' '), patience].join();
}

/** Of spares, memory and pings. */
function apart({ spares, pressure, timers, watchdog, startedAt }: State, now: Millis): string {
  const spare = spares.forkAt === null ? '' : Math.max(0, spares.forkAt - now);
  const short = `${pressure.slot ?? ''},${Math.max(0, pressure.quietUntil - now)},${pressure.readings}`;
  // Without an interval the first ping is due at the start, and for ever.
  if (timers.pingAt === startedAt) return `${spare};${short}`;
  const asked = timers.proveAt === null ? '' : timers.proveAt - now;
  return `${spare};${short};${timers.pingAt - now},${asked},${now - watchdog.quorumAt},${watchdog.withheld}`;
}

/** How it has grown since it was ready. */
function size({ vitals: { firstRss }, heartbeat }: Worker): string {
  return firstRss === null ? '' : heartbeat?.rssBytes === firstRss ? '1' : '2';
}

function life({ life }: State, now: Millis): string {
  if (life.phase !== 'stopping') return life.phase;
  const { deadline, released, killedAt, exitCode } = life;
  return `stopping${deadline - now},${released},${killedAt === null ? '' : now - killedAt},${exitCode}`;
}

function reload(state: State, now: Millis): string {
  const { reload, pendingScale } = state;
  if (reload === null) return '';
  const { stage } = reload;
  const index = (key: WorkerKey) => state.workers.findIndex((worker) => worker.key === key);
  const detail =
    stage.name === 'canary'
      ? index(stage.key)
      : stage.name === 'soak'
        ? [
            index(stage.key),
            stage.until - now,
            stage.askAt - now,
            stage.probeBy === null ? '' : stage.probeBy - now,
          ]
        : stage.name === 'mirror'
          ? [
              index(stage.key),
              stage.openedAt === null ? '' : now - stage.openedAt,
              stage.until - now,
              stage.renewAt - now,
              JSON.stringify(stage.tally),
            ]
          : '';
  return `${stage.name}${detail},${reload.rollback},${reload.soak},${pendingScale}`;
}

function describe(state: State, worker: Worker, now: Millis): string {
  const start = `${slotOf(worker) ?? 0}${generation(state, worker)}${health(state, worker, now)}`;
  switch (worker.phase) {
    case 'starting':
      return `${start}s${worker.deadline - now}`;
    case 'spare':
      return `${start}w${now - worker.heartbeatAt}`;
    case 'ready':
      return `${start}r${now - worker.heartbeatAt}`;
    case 'draining':
      return `${start}d${now - worker.heartbeatAt},${worker.deadline - now},${worker.closed}`;
    case 'dying':
      return `${start}x${worker.was[0]}`;
  }
}

function health({ timers, startedAt }: State, { vitals }: Worker, now: Millis): string {
  const { health, silence, provedAt } = vitals;
  const proof = timers.pingAt === startedAt || provedAt === null ? '' : now - provedAt;
  const looked =
    silence === null
      ? ''
      : `l${now - silence.askedAt}${silence.capture?.state[0] ?? ''}${silence.ended === null ? '' : 'e'}`;
  return `${health === 'healthy' ? '' : health.slice(0, 3)}${looked}${proof}`;
}

function generation({ generation, reload }: State, worker: Worker): string {
  if (worker.generation === generation) return 'p';
  if (worker.generation === reload?.target) return 't';
  return worker.generation === reload?.record.from ? 'f' : 'o';
}
