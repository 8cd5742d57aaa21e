import { Socket } from 'node:net';
import { sum } from '../../core/canary.js';
import type { Effect } from '../../core/effects.js';
import type { Event } from '../../core/events.js';
import type { State } from '../../core/state.js';
import type { WorkerKey } from '../../protocol/messages.js';
import {
  parseTakeOver,
  parseToNext,
  type TakeOver,
  type ToNext,
  takeOverVariable,
} from '../../protocol/upgrade.js';
import type { Notification, ServiceManager } from '../../service-manager/service-manager.js';
import { lineChannel } from './line-channel.js';

/**
 * What this process has been given by the master whose place it is to take; null: it was started as any other. Nobody
 * after it sees the variable.
 *
 * @throws Error where it is not right: nobody sets it by hand
 */
export function takeOverFrom(env: NodeJS.ProcessEnv, pid: number): TakeOver | null {
  const text = env[takeOverVariable];
  if (text === undefined) return null;
  delete env[takeOverVariable];
  // Its parent said so of itself: systemd.exec(5).
  env.SYSTEMD_EXEC_PID = String(pid);
  return parseTakeOver(text);
}

/** The part of a master that is to take another's place. */
export interface Successor {
  /** Until it has taken over, all that only one master may do waits. */
  readonly isHeld: () => boolean;
  /** Does this once it has taken over; at once where it has. */
  readonly later: (act: () => void) => void;
  /** Before the first event. */
  connect(outlets: SuccessorOutlets): void;
  changed(before: State, after: State): void;
  /** What the core does: the master before learns why this one cannot start. */
  performed(effect: Effect): void;
  /** The service stops: the connections of the master before are to drain as well. */
  hurry(why: string): void;
  /** Resolves once the other master is gone, or `limit` ms after it was told to hurry. */
  ended(limit: number): Promise<void>;
}

export interface SuccessorOutlets {
  readonly post: (event: Event) => void;
  /** Changes the number of workers. */
  readonly scale: (to: number) => void;
  /** The number of workers follows the load. */
  readonly follow: () => void;
  readonly urls: () => readonly string[];
  /** No worker listens on the sockets that are still there. */
  readonly dropUnclaimed: () => void;
  readonly askHeartbeat: (key: WorkerKey) => void;
  /** The clock of the core, ms. */
  readonly now: () => number;
  readonly every: (ms: number, act: () => void) => () => void;
  readonly info: (message: string) => void;
}

/** One that was started as any other. */
export const noSuccessor: Successor = {
  isHeld: () => false,
  later: (act) => act(),
  connect: () => {},
  changed: () => {},
  performed: () => {},
  hurry: () => {},
  ended: async () => {},
};

/** How often the other master hears how the workers do, ms. */
const reportInterval = 250;

export interface SuccessorSeam {
  readonly takeOver: TakeOver;
  readonly gate: Gate;
  readonly about: { readonly pid: number; readonly version: string; readonly node: string };
  readonly state: () => State;
}

export function createSuccessor({ takeOver, gate, about, state }: SuccessorSeam): Successor {
  let outlets: SuccessorOutlets | null = null;
  let held = true;
  let wanted: number | null = null;
  let stopReports = (): void => {};
  let isGone = false;
  let waiting: (() => void)[] = [];
  let isHurried = false;
  let onHurry = (): void => {};
  const acts: (() => void)[] = [];
  const hear = (message: ToNext): void => {
    if (outlets === null) return;
    switch (message.type) {
      case 'grow':
        wanted = message.workers;
        outlets.scale(message.workers);
        return grown();
      case 'take-over': {
        held = false;
        stopReports();
        outlets.dropUnclaimed();
        gate.open();
        if (message.auto) outlets.follow();
        channel.send({ type: 'taken' });
        outlets.info('took over from the master before');
        for (const act of acts.splice(0)) act();
        return;
      }
      case 'alone':
        return outlets.post({ type: 'alone' });
      case 'withdraw':
        return outlets.post({
          type: 'stop',
          why: `the upgrade is rolled back: ${message.reason}`,
          now: false,
        });
    }
  };
  const grown = (): void => {
    const { slots, workers } = state();
    const ready = new Set(workers.flatMap((worker) => (worker.phase === 'ready' ? [worker.role.slot] : [])));
    if (wanted === null || slots.length < wanted || slots.some(({ id }) => !ready.has(id))) return;
    wanted = null;
    channel.send({ type: 'grown' });
  };
  const hurry = (why: string): void => {
    if (isHurried || held) return;
    isHurried = true;
    channel.send({ type: 'stop', why });
    onHurry();
  };
  const report = (): void => {
    if (outlets === null) return;
    const { workers, restarts, lastDeaths } = state();
    const deaths = restarts + lastDeaths.length;
    const ready = workers.filter((worker) => worker.phase === 'ready');
    const heard = Math.min(...ready.map(({ heartbeatAt }) => heartbeatAt));
    if (ready.length > 0) {
      const ageMs = Math.max(0, Math.ceil(outlets.now() - heard));
      channel.send({ type: 'served', served: sum(ready, new Map()), deaths, ageMs });
    }
    // The next report is of then.
    for (const { key } of ready) outlets.askHeartbeat(key);
  };
  const socket = new Socket({ fd: takeOver.channel, readable: true, writable: true });
  const channel = lineChannel(socket, {
    onLine: (line) => {
      const message = parseToNext(line);
      if (message !== null) hear(message);
    },
    onGone: () => {
      isGone = true;
      for (const resolve of waiting.splice(0)) resolve();
      if (held) outlets?.post({ type: 'stop', why: 'the master before is gone', now: false });
      else outlets?.post({ type: 'alone' });
    },
  });
  return {
    isHeld: () => held,
    later: (act) => void (held ? acts.push(act) : act()),
    connect: (all) => {
      outlets = all;
      channel.send({ type: 'hello', ...about });
      if (!gate.prepare())
        channel.send({
          type: 'failed',
          reason: 'this Node.js cannot notify systemd: sd-notify and koffi are missing',
        });
    },
    changed: (before, after) => {
      if (outlets === null) return;
      if (before.life.phase === 'starting' && after.life.phase === 'serving') {
        channel.send({ type: 'ready', urls: outlets.urls() });
        stopReports = outlets.every(reportInterval, report);
      }
      if (after.life.phase === 'stopping') {
        const { why, isPatient = false } = after.life;
        stopReports();
        if (!held) {
          // One that another master has replaced in turn is patient, and so is the one before it.
          if (!isPatient) hurry(why);
        } else if (before.life.phase !== 'stopping') channel.send({ type: 'failed', reason: why });
      }
      if (wanted !== null) grown();
    },
    performed: (effect) => {
      if (held && effect.type === 'log' && effect.level === 'error')
        channel.send({ type: 'failed', reason: effect.message });
    },
    hurry,
    ended: (limit) =>
      new Promise((resolve) => {
        if (isGone || held) return resolve();
        waiting = [...waiting, resolve];
        const limited = (): void => void setTimeout(resolve, limit);
        if (isHurried) limited();
        else onHurry = limited;
      }),
  };
}

/** Between a master and the service manager, which is to hear one of two masters. */
export interface Gate {
  readonly serviceManager: ServiceManager;
  /** The service manager hears it from now on: that it is ready, its status, and that it is alive. */
  open(): void;
  /** The service manager hears it no more. */
  shut(): void;
  /** Whether it could be heard. */
  prepare(): boolean;
}

export function createGate(serviceManager: ServiceManager, isOpen: boolean): Gate {
  let status: string | undefined;
  let passes = isOpen;
  return {
    serviceManager: {
      ...serviceManager,
      notify: (notification: Notification) => {
        status = notification.status ?? status;
        if (passes) serviceManager.notify(notification);
      },
    },
    open: () => {
      passes = true;
      const ping = serviceManager.pingInterval === null ? {} : ({ watchdog: true } as const);
      serviceManager.notify({ ready: true, ...ping, ...(status === undefined ? {} : { status }) });
    },
    shut: () => {
      passes = false;
    },
    prepare: () => serviceManager.prepare?.() ?? true,
  };
}
