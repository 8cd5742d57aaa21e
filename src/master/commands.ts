import type { Effect } from '../core/effects.js';
import type { Event } from '../core/events.js';
import type { State } from '../core/state.js';
import { RomAgentError } from '../errors.js';
import type { Answer, Commands, ControlEvent } from '../protocol/control-api.js';
import type { ClusterStats } from '../protocol/stats.js';
import { differences } from './differences.js';
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
  /** Tells those who listen what is different since that event. */
  changed(before: State, after: State, event: Event): void;
}

/** What operators ask for, by the control socket or by signals, as events of the core. */
export function createCommands(seam: CommandsSeam): CommandCentre {
  const { post, status, releases, history, evidence, generation, clock, onRefused, onNeedRestart } = seam;
  const waiting = new Map<number, (answer: Answer) => void>();
  const listeners = new Set<(event: ControlEvent) => void>();
  let lastRequest = 0;
  let preparing = false;
  let lastSerial = 0;

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
      // The one of a reload that is under way is in no record yet.
      const serial = Math.max(await history().nextSerial(), lastSerial + 1);
      const answer = await ask(({ request }) => ({
        type: 'reload',
        request,
        ...options,
        at: clock(),
        serial,
        generation,
        release: release.config.app ?? 'the built-in app',
      }));
      if (!answer.accepted) return answer;
      lastSerial = serial;
      if (needRestart.length > 0) onNeedRestart(needRestart);
      return { ...answer, serial, generation, needRestart };
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
    changed: (before, after, event) => {
      if (listeners.size === 0) return;
      for (const difference of differences(before, after, event)) publish(difference);
    },
  };
}
