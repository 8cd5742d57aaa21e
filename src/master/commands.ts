import type { Effect } from '../core/effects.js';
import type { Event } from '../core/events.js';
import type { KeptDeath, State, Worker } from '../core/state.js';
import { serviceStatus } from '../core/stats.js';
import { slotOf } from '../core/workers.js';
import { RomAgentError } from '../errors.js';
import type { Notifier } from '../notify/notifier.js';
import type { Answer, Commands, ControlEvent, WorkerEnding } from '../protocol/control-api.js';
import type { LogSource } from '../protocol/log-line.js';
import type { FailedJobsAnswer, QueuesAnswer } from '../protocol/queues.js';
import type { ClusterStats } from '../protocol/stats.js';
import { disclosed } from '../settings/settings.js';
import type { Backplane } from './backplane.js';
import type { Deploys } from './deploys.js';
import type { Evidence } from './diagnostics/evidence.js';
import type { FleetSide } from './fleet.js';
import type { History } from './history.js';
import type { RecentLog } from './recent-log.js';
import type { Releases } from './releases.js';
import type { LazyUpgrades } from './upgrade/lazy-upgrades.js';

export interface CommandsSeam {
  readonly post: (event: Event) => void;
  readonly status: () => ClusterStats;
  readonly releases: Releases;
  readonly history: () => History;
  readonly evidence: Pick<Evidence, 'stack' | 'profile' | 'heapSnapshot'>;
  readonly why: Commands['why'];
  readonly jobs: Commands['jobs'];
  readonly notifier: Pick<Notifier, 'test'>;
  /** Where the evidence is. */
  readonly evidenceFolder: string;
  readonly recent: Pick<RecentLog, 'lines' | 'follow'>;
  readonly logSource: () => LogSource;
  readonly metrics: Commands['metrics'];
  readonly deploys: () => Promise<Deploys>;
  readonly upgrades: Pick<LazyUpgrades, 'get' | 'abort' | 'refusal'>;
  /** null: this host is alone. */
  readonly fleet: () => FleetSide | null;
  readonly backplane: Pick<Backplane, 'want' | 'ask'>;
  readonly generation: () => number;
  /** Wall clock, ms since 1970. */
  readonly clock: () => number;
  /** A reload was refused before the core got the event. */
  readonly onRefused: (reason: string, by: string) => void;
  /** Logged, because a reload by a signal has no answer. */
  readonly onNeedRestart: (settings: readonly string[]) => void;
}

export interface CommandCentre {
  readonly commands: Commands;
  /** Passes the core's answers and reports to those who asked or listen. */
  perform(effect: Extract<Effect, { type: 'answer' | 'step' | 'record' | 'stall' }>): void;
  /** Tells the listeners what the event changed. */
  changed(before: State, after: State, event: Event): void;
}

/** Turns the commands of operators, by the control socket or by signals, into events of the core. */
export function createCommands(seam: CommandsSeam): CommandCentre {
  const { evidenceFolder, recent, logSource } = seam;
  const {
    post,
    status,
    releases,
    history,
    evidence,
    why,
    metrics,
    notifier,
    deploys,
    upgrades,
    backplane,
    generation,
    clock,
    onRefused,
    onNeedRestart,
  } = seam;
  const waiting = new Map<number, (answer: Answer) => void>();
  const listeners = new Set<(event: ControlEvent) => void>();
  let lastRequest = 0;
  let preparing = false;
  const turns = () => seam.fleet()?.turns ?? null;
  let lastSerial = 0;

  const ask = (event: (asked: { request: number }) => Event): Promise<Answer> =>
    new Promise((resolve) => {
      const request = ++lastRequest;
      waiting.set(request, resolve);
      post(event({ request }));
    });
  /** Nothing else is changed while the daemon itself is. */
  const during = (command: string): { readonly accepted: false; readonly reason: string } | null => {
    const reason = upgrades.refusal();
    return reason === null ? null : { accepted: false, reason: `${command}: ${reason}` };
  };
  const publish = (event: ControlEvent): void => {
    for (const listener of listeners) listener(event);
  };
  const reload: Commands['reload'] = async (options, onHeld = () => {}) => {
    if (preparing) return { accepted: false, reason: 'reload: another one is being prepared' };
    const busy = during('reload');
    if (busy !== null) return busy;
    preparing = true;
    let isUnderWay = false;
    try {
      if ((await turns()?.wait(options.by, onHeld)) === 'given-up') {
        return { accepted: false, reason: 'reload: given up while it waited for another host' };
      }
      const release = await releases.prepare();
      const { generation, needRestart } = release;
      // The serial number of a reload under way is in no record yet.
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
      isUnderWay = true;
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
      if (!isUnderWay) turns()?.over();
    }
  };

  return {
    commands: {
      status,
      reload,
      abort: async (by) => {
        if (turns()?.giveUp() === true)
          return { accepted: true, message: 'the reload that waited is given up' };
        const upgrade = upgrades.abort(by);
        if (upgrade !== null) return upgrade;
        return ask(({ request }) => ({ type: 'abort', request, by }));
      },
      upgrade: async (options, onLine) => (await upgrades.get()).upgrade(options, onLine),
      scale: async (change, by) =>
        during('scale') ?? ask(({ request }) => ({ type: 'scale', request, by, change })),
      restart: async (slot, by) =>
        during('restart') ?? ask(({ request }) => ({ type: 'restart', request, by, slot })),
      stop: (by) => post({ type: 'stop', why: `asked by ${by}`, now: false }),
      stack: evidence.stack,
      profile: evidence.profile,
      heapSnapshot: evidence.heapSnapshot,
      evidenceFiles: async () => (await evidenceLoader()).listEvidence(evidenceFolder),
      evidenceFile: async (name) => (await evidenceLoader()).openEvidence(evidenceFolder, name),
      logs: () => ({ source: logSource(), lines: recent.lines() }),
      followLog: recent.follow,
      history: () => history().records(),
      why,
      metrics,
      deploy: async (options, onLine) => during('deploy') ?? (await deploys()).deploy(options, onLine),
      rollback: async (options, onLine) => during('rollback') ?? (await deploys()).rollback(options, onLine),
      releases: async () => (await deploys()).releases(),
      startBackplane: async () => {
        backplane.want();
        return { accepted: true, message: 'the backplane starts, unless it runs' };
      },
      queues: () => answered<QueuesAnswer>(backplane.ask({ kind: 'queues' })),
      failedJobs: (queue, limit) =>
        answered(
          backplane.ask({ kind: 'failed', queue, limit }).then((jobs) => ({ jobs }) as FailedJobsAnswer),
        ),
      retryJob: async ({ queue, id }) => {
        const message = `the job ${id} of the queue ${queue} is tried again`;
        return answered(backplane.ask({ kind: 'retry', queue, id }).then(() => ({ message })));
      },
      jobs: seam.jobs,
      notify: async (by) => {
        const results = await notifier.test(by);
        return results === null ? { accepted: false, reason: nobodyToNotify } : { accepted: true, results };
      },
      config: () => disclosed(releases.of(generation()).effective),
      fleet: async () => {
        const fleet = seam.fleet();
        if (fleet === null) return { accepted: false, reason: noFleet };
        return fleet.stats().then(
          (stats) => ({ accepted: true, ...stats }),
          (error: Error) => ({ accepted: false, reason: `fleet: ${error.message}` }),
        );
      },
      rollout: async (options, onLine) => {
        const fleet = seam.fleet();
        if (fleet === null) return { accepted: false, reason: noFleet };
        return fleet.rollout(options, onLine).then(
          () => ({ accepted: true, message: 'over' }),
          (error: Error) => ({ accepted: false, reason: `fleet: ${error.message}` }),
        );
      },
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
      if (effect.type === 'record') {
        history().add(effect.record);
        if (effect.record.verdict !== null) turns()?.over();
      }
      publish(effect);
    },
    changed: (before, after, event) => {
      if (listeners.size === 0) return;
      for (const difference of differences(before, after, event)) publish(difference);
    },
  };
}

/** What the backplane answers, or why it does not. */
async function answered<Found extends object>(
  asked: Promise<unknown>,
): Promise<({ readonly accepted: true } & Found) | { readonly accepted: false; readonly reason: string }> {
  try {
    return { accepted: true, ...((await asked) as Found) };
  } catch (error) {
    return { accepted: false, reason: error instanceof Error ? error.message : String(error) };
  }
}

const evidenceLoader = () => import('./diagnostics/evidence-files.js');

type WorkerEvent = Extract<ControlEvent, { type: 'worker' }>;

/** What an event changed, as events of the control API. */
export function differences(before: State, after: State, event: Event): readonly ControlEvent[] {
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
    ...changed.map((worker): WorkerEvent => {
      return { ...about(worker), phase: worker.phase, reason: reasonOf(worker, after), ending: null };
    }),
    ...gone.map((worker): WorkerEvent => {
      return { ...about(worker), phase: 'gone', reason: null, ending: endingOf(worker, after, event) };
    }),
    ...(isSame ? [] : [service]),
  ];
}

function about(worker: Worker) {
  const { pid, generation } = worker;
  return { type: 'worker', worker: slotOf(worker), pid, generation } as const;
}

function reasonOf(worker: Worker, state: State): string | null {
  if (worker.phase === 'dying') return worker.why;
  return worker.phase === 'draining' ? (deathOf(worker, state)?.cause ?? null) : null;
}

function endingOf(worker: Worker, after: State, event: Event): WorkerEnding {
  const { code, signal } = event.type === 'exited' ? event : { code: null, signal: null };
  const exit = { code, signal };
  const death = deathOf(worker, after);
  const lost = death?.lost ?? worker.heartbeat?.inFlight ?? 0;
  if (death !== undefined) {
    // Where the worker reported no reason, the cause only says the exit status in words.
    const says = worker.failure !== null || worker.phase === 'dying' || code === null ? death.cause : null;
    return { kind: death.kind, cause: says === `ended by ${signal}` ? null : says, ...exit, lost };
  }
  if (worker.phase === 'dying') return { kind: 'killed', cause: worker.why, ...exit, lost };
  const isDrained = code === 0 || (worker.phase === 'draining' && worker.drained);
  if (isDrained) return { kind: 'drained', cause: null, ...exit, lost };
  const during = worker.phase === 'draining' ? 'while it drained' : null;
  return { kind: 'crash', cause: worker.failure?.message ?? during, ...exit, lost };
}

function deathOf({ key }: Worker, { lastDeaths }: State): KeptDeath | undefined {
  return lastDeaths.find((death) => death.key === key);
}

function serviceOf({ life, slots }: State): Extract<ControlEvent, { type: 'service' }> {
  return { type: 'service', status: serviceStatus(life), wanted: slots.length };
}

const noFleet = 'there is no fleet: set fleet.redis_url, then restart the service';
const nobodyToNotify =
  'there is nobody to notify: set command, webhook or webhook_file in the section [notify], then reload';
