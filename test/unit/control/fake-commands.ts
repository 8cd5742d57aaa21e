import { examples } from '../../../src/control/openapi.js';
import type { Answer, Commands, ControlEvent, ReloadAnswer } from '../../../src/protocol/control-api.js';
import type { ReloadRecord } from '../../../src/protocol/reload-record.js';

export const stepEvent = examples.Event.step;
export const recordEvent = examples.Event.record;
export const [record] = examples.History as [ReloadRecord];

export interface FakeCommands {
  /** To be changed by a test. */
  readonly commands: { -readonly [Name in keyof Commands]: Commands[Name] };
  /** Every call with its arguments, in order. */
  readonly calls: unknown[];
  readonly listeners: ReadonlySet<(event: ControlEvent) => void>;
  emit(event: ControlEvent): void;
  /** What the next commands are answered with. */
  answer: Answer;
  reload: () => Promise<ReloadAnswer>;
}

export const acceptedReload: ReloadAnswer = {
  accepted: true,
  message: 'reload to generation 3',
  serial: 12,
  generation: 3,
  needRestart: ['port'],
};

/** A master that does nothing but remember what it was asked. */
export function fakeCommands(): FakeCommands {
  const listeners = new Set<(event: ControlEvent) => void>();
  const calls: unknown[] = [];
  const fake: FakeCommands = {
    calls,
    listeners,
    emit: (event) => {
      for (const listener of [...listeners]) listener(event);
    },
    answer: { accepted: true, message: 'so be it' },
    reload: async () => acceptedReload,
    commands: {
      status: () => examples.Status,
      history: () => examples.History,
      config: () => examples.Config,
      reload: (options) => {
        calls.push(['reload', options]);
        return fake.reload();
      },
      abort: async (by) => told('abort', by),
      scale: async (change, by) => told('scale', change, by),
      restart: async (worker, by) => told('restart', worker, by),
      stack: async (worker, by) => found(examples.Stack, 'stack', worker, by),
      profile: async (worker, seconds, by) => found(examples.EvidenceFile, 'profile', worker, seconds, by),
      heapSnapshot: async (worker, by) => found(examples.EvidenceFile, 'heapSnapshot', worker, by),
      stop: (by) => {
        calls.push(['stop', by]);
      },
      subscribe: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
  };
  const found = <Answer>(answer: Answer, ...call: unknown[]): Answer & { accepted: true } => {
    calls.push(call);
    return { accepted: true, ...answer };
  };
  const told = (...call: unknown[]): Answer => {
    calls.push(call);
    return fake.answer;
  };
  return fake;
}
