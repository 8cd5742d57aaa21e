import type { Commands, ControlEvent } from '../control/api.js';
import { serviceStatus } from '../core/cluster-stats.js';
import type { Answer, Effect } from '../core/effects.js';
import type { Event } from '../core/events.js';
import type { State, Worker } from '../core/model.js';
import type { ClusterStats } from '../core/stats.js';
import { RomAgentError } from '../errors/errors.js';
import type { Evidence } from './evidence.js';
import type { History } from './history.js';
import type { Releases } from './releases.js';

export interface CommandsSeam {
  readonly post: (event: Event) => void;
  readonly status: () => ClusterStats;
  readonly releases: Releases;
  readonly history: () => History;
  readonly evidence: Pick<Evidence, 'stack' | 'profile' | 'heapSnapshot'>;
  readonly generation: () => number;
  /** Wall clock, ms since 1970. */
  readonly clock: () => number;
  /** A reload that was refused before the core could hear of it. */
  readonly onRefused: (reason: string, by: string) => void;
  /** Who reloads by a signal reads no answer. */
  readonly onNeedRestart: (settings: readonly string[]) => void;
}

export interface CommandCentre {
  readonly commands: Commands;
  /** Performs what the core says to those who asked. */
  perform(effect: Extract<Effect, { type: 'answer' | 'step' | 'record' }>): void;
  /** Tells those who listen what is different. */
  changed(before: State, after: State): void;
}

/** What operators ask for, by the control socket or by signals, as events of the core. */
export function createCommands(seam: CommandsSeam): CommandCentre {
  const { post, status, releases, history, evidence, generation, clock, onRefused, onNeedRestart } = seam;
  const waiting = new Map<number, (answer: Answer) => void>();
  const listeners = new Set<(event: ControlEvent) => void>();
  let lastRequest = 0;
  let preparing = false;

  const ask = (event: (asked: { request: number }) => Event): Promise<Answer> =>
    new Promise((resolve) => {
      const request = ++lastRequest;
      waiting.set(request, resolve);
      post(event({ request }));
    });
  const publish = (event: ControlEvent): void => {
    for (const listener of listeners) listener(event);
  };
  const reload: Commands['reload'] = async (options) => {
    if (preparing) return { accepted: false, reason: 'reload: another one is being prepared' };
    preparing = true;
    try {
      const release = await releases.prepare();
      const { generation, needRestart } = release;
      const answer = await ask(({ request }) => ({
        type: 'reload',
        request,
        ...options,
        at: clock(),
        generation,
        release: release.config.app ?? 'the built-in app',
      }));
      if (!answer.accepted) return answer;
      if (needRestart.length > 0) onNeedRestart(needRestart);
      return { ...answer, generation, needRestart };
    } catch (error) {
      if (!(error instanceof RomAgentError)) throw error;
      // The old configuration stays in force.
      const reason = `reload: ${error.message}`;
      onRefused(reason, options.by);
      return { accepted: false, reason };
    } finally {
      preparing = false;
    }
  };

  return {
    commands: {
      status,
      reload,
      abort: (by) => ask(({ request }) => ({ type: 'abort', request, by })),
      scale: (change, by) => ask(({ request }) => ({ type: 'scale', request, by, change })),
      restart: (slot, by) => ask(({ request }) => ({ type: 'restart', request, by, slot })),
      stop: (by) => post({ type: 'stop', why: `asked by ${by}`, now: false }),
      stack: evidence.stack,
      profile: evidence.profile,
      heapSnapshot: evidence.heapSnapshot,
      history: () => history().records(),
      config: () => releases.of(generation()).effective,
      subscribe: (listener) => {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    },
    perform: (effect) => {
      if (effect.type === 'answer') {
        waiting.get(effect.request)?.(effect.answer);
        waiting.delete(effect.request);
        return;
      }
      if (effect.type === 'record') history().add(effect.record);
      publish(effect);
    },
    changed: (before, after) => {
      if (listeners.size > 0) for (const event of differences(before, after)) publish(event);
    },
  };
}

function differences(before: State, after: State): readonly ControlEvent[] {
  const earlier = new Map(before.workers.map((worker) => [worker.key, worker]));
  const here = new Set(after.workers.map(({ key }) => key));
  const gone = before.workers.filter(({ key }) => !here.has(key));
  const changed = after.workers.filter(({ key, phase, pid }) => {
    const worker = earlier.get(key);
    return worker?.phase !== phase || worker.pid !== pid;
  });
  const service = serviceOf(after);
  const was = serviceOf(before);
  const isSame = was.status === service.status && was.wanted === service.wanted;
  return [
    ...changed.map((worker) => workerEvent(worker, worker.phase)),
    ...gone.map((worker) => workerEvent(worker, 'gone')),
    ...(isSame ? [] : [service]),
  ];
}

type WorkerEvent = Extract<ControlEvent, { type: 'worker' }>;

function workerEvent({ slot, pid, generation }: Worker, phase: WorkerEvent['phase']): WorkerEvent {
  return { type: 'worker', worker: slot, pid, generation, phase };
}

function serviceOf({ life, slots }: State): Extract<ControlEvent, { type: 'service' }> {
  return { type: 'service', status: serviceStatus(life), wanted: slots.length };
}
