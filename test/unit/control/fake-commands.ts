import { Readable } from 'node:stream';
import { examples } from '../../../src/control/openapi.js';
import type { Answer, Commands, ControlEvent, ReloadAnswer } from '../../../src/protocol/control-api.js';
import type { LogLine } from '../../../src/protocol/log-line.js';
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
  readonly logListeners: ReadonlySet<(line: LogLine) => void>;
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
  const logListeners = new Set<(line: LogLine) => void>();
  const calls: unknown[] = [];
  const fake: FakeCommands = {
    calls,
    listeners,
    logListeners,
    emit: (event) => {
      for (const listener of [...listeners]) listener(event);
    },
    answer: { accepted: true, message: 'so be it' },
    reload: async () => acceptedReload,
    commands: {
      status: () => examples.Status,
      evidenceFiles: async () => examples.EvidenceList,
      evidenceFile: async (name) =>
        name === examples.EvidenceList[0]?.name ? { bytes: 2, content: Readable.from(['{}']) } : null,
      logs: () => ({ source: examples.LogsLine.source.source, lines: [examples.LogsLine.line.line] }),
      followLog: (listener) => {
        logListeners.add(listener);
        return () => logListeners.delete(listener);
      },
      history: () => examples.History,
      upgrade: async (options, onLine) => {
        calls.push(['upgrade', options]);
        if (fake.answer.accepted)
          setImmediate(() => {
            onLine(examples.UpgradeLine.step);
            onLine(examples.UpgradeLine.verdict);
          });
        return fake.answer;
      },
      metrics: async () => examples.Metrics,
      why: async (query) => {
        calls.push(['why', query]);
        return examples.Why;
      },
      config: () => examples.Config,
      reload: (options) => {
        calls.push(['reload', options]);
        return fake.reload();
      },
      fleet: async () => ({ accepted: true, ...examples.Fleet }),
      rollout: async (options, onLine) => {
        calls.push(['rollout', options]);
        onLine(examples.RolloutLine.over);
        return { accepted: true, message: 'over' };
      },
      deploy: async (options, onLine) => {
        calls.push(['deploy', options]);
        onLine(examples.DeployLine.record);
        return { accepted: true, id: 'x', message: 'deploy x' };
      },
      rollback: async (options, onLine) => {
        calls.push(['rollback', options]);
        onLine(examples.DeployLine.record);
        return { accepted: true, id: 'x', message: 'rollback to x' };
      },
      releases: async () => ({ accepted: true, ...examples.Releases }),
      startBackplane: async (by) => told('startBackplane', by),
      queues: async () => found(examples.Queues, 'queues'),
      failedJobs: async (queue, limit) => found(examples.FailedJobs, 'failedJobs', queue, limit),
      retryJob: async (job, by) => told('retryJob', job, by),
      abort: async (by) => told('abort', by),
      scale: async (change, by) => told('scale', change, by),
      restart: async (worker, by) => told('restart', worker, by),
      stack: async (worker, by) => found(examples.Stack, 'stack', worker, by),
      profile: async (worker, seconds, by) => found(examples.EvidenceFile, 'profile', worker, seconds, by),
      heapSnapshot: async (worker, by) => found(examples.EvidenceFile, 'heapSnapshot', worker, by),
      notify: async (by) => found(examples.Notified, 'notify', by),
      jobs: {
        list: async () => examples.Jobs,
        run: async (job, by) => {
          calls.push(['runJob', job, by]);
          return job === 'report' ? examples.JobLine.run.run.id : null;
        },
        follow: (_, listener) => {
          for (const line of Object.values(examples.JobLine)) listener(line);
          return () => {};
        },
        runs: async (job) => (job === 'report' ? examples.JobLog.runs : null),
        output: async () => examples.JobLog.output,
      },
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
