import { hostname } from 'node:os';
import { newDeaths } from '../core/deaths.js';
import type { Event } from '../core/events.js';
import { endedReload } from '../core/reload-record.js';
import type { State, Worker } from '../core/state.js';
import { servedSlots } from '../core/status.js';
import { slotOf } from '../core/workers.js';
import { makeDirectory } from '../files.js';
import type { LazyLog } from '../logging/lazy-log.js';
import { createNotifier, type Notifier } from '../notify/notifier.js';
import type { Observation } from '../notify/policy.js';
import type { Config } from '../settings/config.js';
import { serviceName } from './log-source.js';
import { after } from './system.js';

/** Shows the notifier what events change. The core knows nothing of notifications. */
export interface Alerts {
  changed(before: State, after: State, event: Event): void;
}

export function createAlerts({ isOn, observe }: Pick<Notifier, 'isOn' | 'observe'>): Alerts {
  return {
    changed: (before, after, event) => {
      if (!isOn()) return;
      for (const seen of observationsOf(before, after, event)) observe(seen);
    },
  };
}

export interface OwnNotifier {
  /** As of the last reload. */
  readonly settings: () => Config['notify'];
  readonly stateDir: string;
  readonly log: Pick<LazyLog, 'info' | 'warn'>;
}

/** Tells of this service, on this machine. */
export function openNotifier({ settings, stateDir, log }: OwnNotifier): Notifier {
  return createNotifier({
    settings,
    service: serviceName(),
    host: hostname(),
    stateDir,
    makeDirectory: (path) => makeDirectory(path, 0o750),
    clock: Date.now,
    random: Math.random,
    after,
    onTold: log.info,
    onProblem: log.warn,
  });
}

function observationsOf(before: State, after: State, event: Event): readonly Observation[] {
  return [
    ...deaths(before, after),
    ...ending(before, after),
    ...rollback(before, after),
    ...memory(before, after, event),
    ...standing(after, event),
  ];
}

function deaths(before: State, after: State): readonly Observation[] {
  return newDeaths(before, after).map(({ worker, kind, cause }) => ({ type: 'death', worker, kind, cause }));
}

function ending(before: State, { life }: State): readonly Observation[] {
  if (life.phase !== 'stopping' || life.exitCode === 0 || before.life.phase === 'stopping') return [];
  return [{ type: 'ending', cause: life.why, exitCode: life.exitCode }];
}

function rollback(before: State, after: State): readonly Observation[] {
  const record = endedReload(before, after);
  if (record?.verdict !== 'rolled-back') return [];
  const { generation, reason, by } = record;
  return [{ type: 'rollback', generation, cause: reason ?? 'unknown', by }];
}

function memory(before: State, after: State, event: Event): readonly Observation[] {
  if (event.type !== 'memory') return [];
  const relieved = after.slots.find(
    ({ id, relievedAt }) =>
      relievedAt !== null && relievedAt !== before.slots.find((slot) => slot.id === id)?.relievedAt,
  );
  const isHelpless = after.pressure.helplessAt !== before.pressure.helplessAt;
  if (relieved === undefined && !isHelpless) return [];
  const { used, limit } = event;
  return [{ type: 'memory', worker: relieved?.id ?? null, usedBytes: used, limitBytes: limit }];
}

function standing(state: State, { type }: Event): readonly Observation[] {
  if (state.life.phase !== 'serving' || (type !== 'heartbeat' && type !== 'tick')) return [];
  const ill = state.workers.flatMap((worker: Worker) => {
    const slot = slotOf(worker);
    const { health } = worker.vitals;
    return worker.phase === 'ready' && slot !== null && health !== 'healthy'
      ? [{ worker: slot, health }]
      : [];
  });
  return [{ type: 'standing', wanted: state.slots.length, ready: servedSlots(state), ill }];
}
