import type { Commands, ReloadOptions, RolloutOptions } from '../protocol/control-api.js';
import type { DeployLine } from '../protocol/deploy.js';
import type {
  FleetDue,
  FleetEvent,
  FleetJob,
  FleetStats,
  HostCommand,
  HostOutcome,
  HostSummary,
  ReloadTurn,
  RolloutLine,
  RunOutcome,
} from '../protocol/fleet.js';
import { summaryInterval } from '../protocol/fleet.js';
import type { ReloadRecord } from '../protocol/reload-record.js';
import type { ClusterStats } from '../protocol/stats.js';
import type { Backplane } from './backplane.js';

/** This host's part in the fleet, from the master's side; the backplane's process has the other. */
export interface FleetSide {
  stats(): Promise<FleetStats>;
  readonly turns: ReloadTurns;
  /** Hears each line; resolves with the last one. */
  rollout(options: RolloutOptions, onLine: (line: RolloutLine) => void): Promise<void>;
  /** Adds a due time; resolves once it is safe. */
  due(due: FleetDue): Promise<void>;
  /** The jobs that this host runs from now on, and what runs them. */
  takeJobs(jobs: readonly FleetJob[], takers: JobTakers): void;
  /** It takes no more of them; runs in progress go on. */
  releaseJobs(): void;
  end(): void;
}

export interface JobTakers {
  /** Runs it here; resolves once it is over. */
  run(due: FleetDue, runId: string): Promise<RunOutcome>;
  /** A run that another host began and did not end. */
  lost(due: FleetDue, host: string): void;
  /** Left out, since the run before was not over. */
  skipped(due: FleetDue): void;
  /** A later one is due: its run here ends, where it has begun, or never begins. */
  replaced(due: FleetDue, by: { readonly byMs: number; readonly hasBegun: boolean }): void;
}

/** Whose turn it is to reload. */
export interface ReloadTurns {
  /** Resolves once it is this host's turn, or the reload was given up. @param onHeld hears which host it waits for */
  wait(by: string, onHeld: (host: string) => void): Promise<'granted' | 'given-up'>;
  /** Whether one waited, which does not any more. */
  giveUp(): boolean;
  /** The reload is over. */
  over(): void;
}

export interface FleetSeam {
  readonly backplane: Pick<Backplane, 'ask' | 'order' | 'connectFleet' | 'want'>;
  readonly oneAtATime: boolean;
  readonly summary: () => HostSummary;
  readonly reload: (options: ReloadOptions) => Promise<HostOutcome>;
  readonly deploy: (command: Extract<HostCommand, { kind: 'deploy' }>) => Promise<HostOutcome>;
  readonly info: (message: string) => void;
  readonly warn: (message: string) => void;
  /** Calls back each so many ms until it is told not to. */
  readonly each: (ms: number, call: () => void) => () => void;
}

/** Longer than any reload, ms: setTimeout takes no more than 24 days. */
const longestWait = 24 * 3_600_000;

export function createFleetSide(seam: FleetSeam): FleetSide {
  const { backplane, oneAtATime, summary, reload, deploy, info, warn, each } = seam;
  let jobs: readonly FleetJob[] = [];
  let takers: JobTakers | null = null;
  const rollouts = new Map<string, (line: RolloutLine) => void>();
  let lastRollout = 0;

  let waits: { readonly onHeld: (host: string) => void; readonly giveUp: () => void } | null = null;
  const turns: ReloadTurns = {
    wait: async (by, onHeld) => {
      if (!oneAtATime) return 'granted';
      const givenUp = new Promise<ReloadTurn>((resolve) => {
        waits = {
          onHeld: (host) => {
            info(`the reload asked by ${by} waits: ${host} reloads; rom-agent abort gives it up`);
            onHeld(host);
          },
          giveUp: () => resolve({ kind: 'given-up' }),
        };
      });
      const asked = backplane
        .ask({ kind: 'fleet', question: { kind: 'reload-turn', by } }, longestWait)
        .catch((error: Error): ReloadTurn => {
          const warning = `the reload asked by ${by} goes on without the turn of the fleet: ${error.message}`;
          return { kind: 'granted', token: null, warning };
        });
      const turn = (await Promise.race([asked, givenUp, slow(by)])) as ReloadTurn;
      waits = null;
      if (turn.kind === 'given-up') return 'given-up';
      if (turn.warning !== null) warn(turn.warning);
      return 'granted';
    },
    giveUp: () => {
      if (waits === null) return false;
      waits.giveUp();
      waits = null;
      backplane.order({ kind: 'reload-over' });
      return true;
    },
    over: () => {
      if (oneAtATime) backplane.order({ kind: 'reload-over' });
    },
  };
  /** A backplane that does not run holds up no reload. */
  const slow = (by: string): Promise<ReloadTurn> =>
    new Promise((resolve) => {
      if (up) return;
      const warning = `the reload asked by ${by} goes on without the turn of the fleet: the backplane does not run`;
      const timer = setTimeout(resolve, 5_000, { kind: 'granted', token: null, warning });
      timer.unref();
    });

  const obey = (command: HostCommand): Promise<HostOutcome> =>
    command.kind === 'deploy'
      ? deploy(command)
      : reload({ by: command.by, soak: command.soak, rollback: true });
  const hear = (event: FleetEvent): void => {
    switch (event.kind) {
      case 'run':
        if (takers === null) return;
        return void takers
          .run(event.due, event.runId)
          .then((ran) => backplane.order({ kind: 'ran', runId: event.runId, ran }));
      case 'lost': {
        const { due, host, reruns } = event;
        const then = reruns ? 'this host runs it again' : 'it is not run again';
        warn(
          `job ${due.job}: its run due at ${new Date(due.dueMs).toISOString()} was lost with host ${host}; ${then}`,
        );
        return takers?.lost(due, host);
      }
      case 'skipped':
        return takers?.skipped(event.due);
      case 'replaced':
        return takers?.replaced(event.due, event);
      case 'command':
        return void obey(event.command)
          .catch((error: unknown) => ({ ok: false, message: String(error) }))
          .then((outcome) => backplane.order({ kind: 'commanded', id: event.id, outcome }));
      case 'held':
        return waits?.onHeld(event.host);
      case 'rollout':
        return rollouts.get(event.id)?.(event.line);
    }
  };
  const tellAll = (): void => backplane.order({ kind: 'summary', summary: summary() });
  let up = false;
  backplane.connectFleet({
    onEvent: hear,
    onUp: () => {
      up = true;
      tellAll();
      if (jobs.length > 0) backplane.order({ kind: 'jobs', jobs });
    },
  });
  backplane.want();
  const stop = each(summaryInterval, tellAll);

  return {
    stats: async () => (await backplane.ask({ kind: 'fleet', question: { kind: 'fleet' } })) as FleetStats,
    turns,
    rollout: ({ by, kind, soak, ref }, onLine) =>
      new Promise((resolve, reject) => {
        const id = `rollout-${++lastRollout}`;
        rollouts.set(id, (line) => {
          onLine(line);
          if (line.type !== 'over') return;
          rollouts.delete(id);
          resolve();
        });
        const command: HostCommand =
          kind === 'reload' ? { kind, by, soak } : { kind, by, ref: ref ?? null, commit: null };
        backplane.ask({ kind: 'fleet', question: { kind: 'rollout', id, command } }).catch((error: Error) => {
          rollouts.delete(id);
          reject(error);
        });
      }),
    due: async (due) => {
      await backplane.ask({ kind: 'fleet', question: { kind: 'due', due } });
    },
    releaseJobs: () => {
      jobs = [];
      backplane.order({ kind: 'jobs', jobs });
    },
    takeJobs: (next, by) => {
      jobs = next.map(({ name, overlap, onLost }) => ({ name, overlap, onLost }));
      takers = by;
      backplane.order({ kind: 'jobs', jobs });
    },
    end: stop,
  };
}

/** Reloads this host; resolves with its verdict. */
export function reloadHere(
  { reload, subscribe }: Pick<Commands, 'reload' | 'subscribe'>,
  options: ReloadOptions,
): Promise<HostOutcome> {
  return new Promise((resolve, reject) => {
    let generation: number | null = null;
    const early: ReloadRecord[] = [];
    const take = (record: ReloadRecord): void => {
      if (record.generation !== generation || record.verdict === null) return;
      unsubscribe();
      const { verdict, reason } = record;
      resolve({ ok: verdict === 'done', message: `${verdict}${reason === null ? '' : `: ${reason}`}` });
    };
    const unsubscribe = subscribe((event) => {
      if (event.type !== 'record') return;
      if (generation === null) early.push(event.record);
      else take(event.record);
    });
    reload(options).then((answer) => {
      if (answer.accepted) {
        generation = answer.generation;
        for (const record of early) take(record);
        return;
      }
      unsubscribe();
      resolve({ ok: false, message: answer.reason });
    }, reject);
  });
}

/** Deploys to this host; resolves with its verdict. */
export function deployHere(
  { deploy }: Pick<Commands, 'deploy'>,
  { by, ref, commit }: Extract<HostCommand, { kind: 'deploy' }>,
): Promise<HostOutcome> {
  return new Promise((resolve, reject) => {
    const options = { by, origin: 'fleet', ref: ref ?? undefined, commit: commit ?? undefined } as const;
    const hear = (line: DeployLine): void => {
      if (line.type !== 'record') return;
      const { verdict, reason, id, commit } = line.record;
      const message = `${verdict}, release ${id}${reason === null ? '' : `: ${reason}`}`;
      resolve({ ok: verdict === 'done' || verdict === 'unchanged', message, commit });
    };
    deploy(options, hear).then((answer) => {
      if (!answer.accepted) resolve({ ok: false, message: answer.reason });
    }, reject);
  });
}

/** What this host tells the others. */
export function summaryOf(stats: ClusterStats, release: string | null): HostSummary {
  const { status, generation, wanted, ready, restarts, requests, requestsPerSecond, inFlight } = stats;
  const { master, workers, lastReload } = stats;
  return {
    ...{ status, generation, wanted, ready, restarts, requests, requestsPerSecond, inFlight, release },
    version: master.version,
    rssBytes: workers.reduce((sum, worker) => sum + worker.rssBytes, master.rssBytes),
    uptimeSeconds: master.uptimeSeconds,
    lastReload: lastReload === null ? null : { verdict: lastReload.verdict, atMs: lastReload.atMs },
  };
}
