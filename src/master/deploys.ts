import { spawn } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { endMarked } from '../deploy/command.js';
import { decide, type Journal, type ReloadState } from '../deploy/decide.js';
import {
  addToHistory,
  diskOf,
  hasRelease,
  journalOrAside,
  layoutOf,
  listPartials,
  listReleases,
  lockHolder,
  readCurrent,
  readHistory,
  readJournal,
  removeJournal,
  removeWayBack,
  switchTo,
} from '../deploy/layout.js';
import { deploySettings, newId } from '../deploy/plan.js';
import { parseWindow } from '../deploy/window.js';
import { RomAgentError } from '../errors.js';
import { calendarOf } from '../jobs/due.js';
import type { Refusal } from '../protocol/control-api.js';
import {
  type DeployAnswer,
  type DeployLine,
  type DeployMessage,
  type DeployOptions,
  type DeployOrder,
  type DeployRecord,
  type DeploySettings,
  type DeploySummary,
  deployVariable,
  isDeployMessage,
  type ReleasesAnswer,
  type RollbackOptions,
  reloadLabel,
} from '../protocol/deploy.js';
import type { ReloadRecord } from '../protocol/reload-record.js';
import type { Config } from '../settings/config.js';

/** Deploys run in a process of their own: the master starts it, follows it, and starts another one where it was killed. */
export interface Deploys {
  /** Resolves once it is accepted or refused; `onLine` hears of it until its record or plan. */
  deploy(options: DeployOptions, onLine?: (line: DeployLine) => void): Promise<DeployAnswer>;
  rollback(options: RollbackOptions, onLine?: (line: DeployLine) => void): Promise<DeployAnswer>;
  releases(): Promise<({ readonly accepted: true } & ReleasesAnswer) | Refusal>;
  /** null where nothing is known yet. */
  summary(): DeploySummary | null;
  /** Starts deploys by `deploy.schedule` from now on. */
  schedule(settings: Config['deploy']): void;
  end(): void;
}

export interface DeploysSeam {
  /** The configuration as it is now, which may have changed since the start. */
  readonly load: () => Promise<Config>;
  readonly controlSocket: string;
  readonly spawn: (order: DeployOrder, on: DeployEvents) => void;
  /** Wall clock, ms since 1970. */
  readonly clock: () => number;
  readonly after: (delay: number, act: () => void) => () => void;
  readonly log: Record<
    'info' | 'warn' | 'error',
    (message: string, fields?: Record<string, unknown>) => void
  >;
  /** A deploy is over. */
  readonly onRecord: (record: DeployRecord) => void;
}

export interface DeployEvents {
  readonly onMessage: (message: DeployMessage) => void;
  /** Once, also where it could not be started. @param how in words */
  readonly onEnd: (how: string) => void;
}

/** How often in a row a deploy is gone on with whose process was killed. */
const mostResumes = 5;

interface UnderWay {
  /** null: not known yet. */
  id: string | null;
  readonly listeners: Set<(line: DeployLine) => void>;
  /** Told once the process has ended and another deploy may begin. */
  last: DeployLine | null;
}

export function createDeploys(seam: DeploysSeam): Deploys {
  const { load, controlSocket, clock, log, onRecord } = seam;
  let underWay: UnderWay | null = null;
  /** As the configuration has it that was read last. */
  let directory: string | null = null;
  /** Read again after each deploy. */
  let summary: Omit<DeploySummary, 'underWay'> | null = null;
  let scheduled = '';
  let forget = (): void => {};

  const settingsNow = async (): Promise<DeploySettings | Refusal> => {
    try {
      const settings = deploySettings(await load());
      directory = settings?.directory ?? null;
      return settings ?? { accepted: false, reason: notConfigured };
    } catch (error) {
      if (!(error instanceof RomAgentError)) throw error;
      return { accepted: false, reason: `deploy: ${error.message}` };
    }
  };
  /** For the log, the metrics and the notifications. */
  const note = (line: DeployLine, id: string | null): void => {
    if (line.type === 'stage') {
      const { stage, name, detail } = line;
      log.info(`deploy ${id ?? ''}: ${name ?? stage}: ${detail}`);
    }
    if (line.type === 'record') {
      summary = null;
      const { id, verdict, reason, by, origin, commit, tookMs } = line.record;
      const fields = { release: id, verdict, by, origin, commit, tookMs };
      const what = `deploy ${id} by ${by}: ${verdict}${reason === null ? '' : `: ${reason}`}`;
      if (verdict === 'done' || verdict === 'unchanged') log.info(what, fields);
      else log.error(what, fields);
      onRecord(line.record);
    }
  };

  /** Follows a process until what it does is over, and those that go on with it. Who listens hears the end last. */
  const follow = (order: DeployOrder, job: UnderWay, resumes = 0): Promise<DeployAnswer> =>
    new Promise((resolve) => {
      let isOver = false;
      const end = (how: string): void => {
        underWay = null;
        resolve({ accepted: false, reason: `the process of the deploy ended (${how})` });
        const last = job.last ?? (job.id === null ? null : endOf(job.id, order, how));
        if (last !== null) for (const listener of job.listeners) listener(last);
      };
      seam.spawn(order, {
        onMessage: (message) => {
          if (message.type === 'accepted') {
            job.id = message.id;
            resolve({ accepted: true, id: message.id, message: message.message });
          } else if (message.type === 'line') {
            const { line } = message;
            note(line, job.id);
            const isLast = line.type === 'plan' || line.type === 'record';
            // What an earlier deploy has left comes to its end first.
            const isOwn = line.type !== 'record' || order.kind === 'resume' || line.record.id === job.id;
            if (isLast && isOwn) {
              isOver = true;
              job.last = line;
            } else if (job.id !== null) for (const listener of job.listeners) listener(line);
          } else {
            isOver = true;
            if (message.type === 'refused') resolve({ accepted: false, reason: message.reason });
          }
        },
        onEnd: (how) => {
          const isDryRun = order.kind === 'deploy' && order.options.dryRun === true;
          if (isOver || isDryRun) return end(how);
          if (resumes >= mostResumes) {
            log.error(
              `deploy ${job.id} ended without a verdict (${how}): the next start of the service goes on`,
            );
            return end(how);
          }
          log.warn(
            `the process of the deploy ended (${how}): starting another one, which goes on or goes back`,
          );
          const { settings } = order;
          void follow({ kind: 'resume', settings, controlSocket }, job, resumes + 1).then(resolve);
        },
      });
    });
  const begin = async (
    orderOf: (settings: DeploySettings) => DeployOrder,
    onLine: (line: DeployLine) => void,
  ): Promise<DeployAnswer> => {
    if (underWay !== null) return { accepted: false, reason: busy(underWay) };
    const job: UnderWay = { id: null, listeners: new Set([onLine]), last: null };
    underWay = job;
    try {
      const settings = await settingsNow();
      if (!('accepted' in settings)) return await follow(orderOf(settings), job);
      underWay = null;
      return settings;
    } catch (error) {
      // It never began: the next one must not wait for it.
      underWay = null;
      throw error;
    }
  };

  const deploy: Deploys['deploy'] = (options, onLine = () => {}) =>
    begin((settings) => {
      const layout = layoutOf(settings.directory);
      const id = newId(clock(), (each) => hasRelease(layout, each));
      return { kind: 'deploy', id, options, settings, controlSocket };
    }, onLine);
  const arm = (settings: Config['deploy']): void => {
    let due: number | null;
    try {
      const timezone = settings.window === null ? null : (parseWindow(settings.window)?.zone ?? null);
      due = calendarOf({ schedule: settings.schedule ?? '', timezone }).next(clock());
    } catch (error) {
      log.warn(`deploy.schedule: ${settings.schedule} is not right: ${(error as Error).message}`);
      return;
    }
    if (due !== null) wait(due, settings);
  };
  /** The clock may be set while it waits. */
  const wait = (due: number, settings: Config['deploy']): void => {
    forget = seam.after(Math.min(longestWait, Math.max(0, due - clock())), () => {
      if (clock() < due) return wait(due, settings);
      arm(settings);
      deploy({ by: 'schedule', origin: 'schedule' }).then(
        (answer) => {
          if (!answer.accepted) log.warn(`the scheduled deploy was refused: ${answer.reason}`);
        },
        (error: unknown) => log.error('the scheduled deploy could not begin', { error }),
      );
    });
  };

  return {
    deploy,
    rollback: (options, onLine = () => {}) =>
      begin((settings) => ({ kind: 'rollback', id: '', options, settings, controlSocket }), onLine),
    releases: async () => {
      const settings = await settingsNow();
      if ('accepted' in settings) return settings;
      return { accepted: true, ...releasesIn(settings.directory) };
    },
    summary: () => {
      if (directory === null) return null;
      summary ??= summaryOf(directory);
      return { ...summary, underWay: underWay?.id ?? null };
    },
    schedule: (settings) => {
      ({ directory } = settings);
      summary = null;
      const wanted = JSON.stringify([settings.schedule, settings.window]);
      if (wanted === scheduled) return;
      scheduled = wanted;
      forget();
      forget = () => {};
      if (settings.source !== null && settings.schedule !== null) arm(settings);
    },
    end: () => forget(),
  };
}

/** A timer of Node takes no longer one, ms. */
const longestWait = 24 * 3_600_000;

const notConfigured =
  'there is nothing to deploy from: set source in the section [deploy] of the configuration';

/** Where the process was killed when all was done but to tell it; or where nothing helped. */
function endOf(id: string, order: DeployOrder, how: string): DeployLine {
  const record = readHistory(layoutOf(order.settings.directory)).find((each) => each.id === id);
  if (record !== undefined) return { type: 'record', record };
  const finding = { what: 'process', isGood: false, detail: `the process of the deploy ended: ${how}` };
  return { type: 'plan', isGood: false, findings: [finding] };
}

function busy({ id }: UnderWay): string {
  return `a deploy is under way${id === null ? '' : `, ${id}`}: rom-agent releases shows it`;
}

function releasesIn(directory: string): ReleasesAnswer {
  const layout = layoutOf(directory);
  const current = readCurrent(layout);
  const deploys = readHistory(layout);
  const journal = readJournalSafely(layout);
  return {
    directory,
    current,
    releases: listReleases(layout).map((id) => ({
      id,
      isCurrent: id === current,
      deploy: deploys.find((record) => record.id === id) ?? null,
    })),
    deploys,
    underWay:
      journal === null
        ? null
        : {
            id: journal.id,
            by: journal.by,
            origin: journal.origin,
            atMs: journal.atMs,
            stage: journal.stage,
          },
  };
}

function summaryOf(directory: string): Omit<DeploySummary, 'underWay'> {
  const layout = layoutOf(directory);
  const current = readCurrent(layout);
  const history = readHistory(layout);
  const [last = null] = history;
  return {
    current,
    commit: history.find(({ id, verdict }) => id === current && verdict === 'done')?.commit ?? null,
    last: last === null ? null : { id: last.id, verdict: last.verdict, atMs: last.atMs, tookMs: last.tookMs },
  };
}

function readJournalSafely(layout: ReturnType<typeof layoutOf>) {
  try {
    return readJournal(layout);
  } catch {
    return null;
  }
}

/** How long a process of the run before may take to end, ms. */
const orphanLimit = 5_000;

/** Before the first worker: what serves next is what was proven last. */
export async function recoverAtStart(
  { deploy, stateDir }: Pick<Config, 'deploy' | 'stateDir'>,
  { clock, warn }: { clock: () => number; warn: (message: string) => void },
): Promise<void> {
  const layout = layoutOf(deploy.directory);
  if (journalOrAside(layout, warn) === null) return;
  // It ends with the channel to its master; one that is stopped does not.
  for (let waited = 0; waited < orphanLimit && lockHolder(layout.lock) !== null; waited += 50)
    await sleep(50);
  const holder = lockHolder(layout.lock);
  if (holder !== null) endHolder(holder, warn);
  // It may have gone on before it noticed.
  const journal = journalOrAside(layout, warn);
  if (journal === null) return;
  const { id, previous } = journal;
  const disk = diskOf(layout, journal);
  const reload = await reloadIn(stateDir, journal);
  const decision = decide(journal, { disk, reload, when: 'start' });
  if (decision.do === 'reload' || decision.do === 'wait') return;
  if (decision.do === 'back' && disk.current === id && previous !== id)
    switchTo(layout, disk.hasPrevious ? previous : null);
  const { ref, commit, by, origin, atMs } = journal;
  const { verdict, reason } = decision;
  const tookMs = Math.max(0, clock() - atMs);
  addToHistory(layout, { ...{ id, ref, commit, by, origin, atMs, tookMs, verdict, reason, previous } });
  await endMarked(layout.mark(id));
  removeWayBack(layout);
  removeJournal(layout);
  const neverServed = origin !== 'rollback' && decision.do === 'back' && isBefore(journal, disk.current);
  const left = listPartials(layout).filter((name) => name.startsWith(`${id}.partial`));
  for (const name of neverServed ? [id, ...left] : left)
    void rm(join(layout.releases, name), { recursive: true, force: true }).catch(() => {});
  const serves = readCurrent(layout);
  warn(
    `the deploy ${id} was interrupted at the stage ${journal.stage}: ${verdict}; ${serves ?? 'no release'} is current`,
  );
}

/** Whether it was interrupted before `current` led to its release. */
function isBefore({ id, stage }: Journal, current: string | null): boolean {
  return stage !== 'reload' && stage !== 'back' && stage !== 'prune' && current !== id;
}

function endHolder(pid: number, warn: (message: string) => void): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ESRCH')
      warn(`the process ${pid} of a deploy that was interrupted cannot be ended (${code})`);
  }
}

/** What the history of reloads says of the reload of this deploy. */
async function reloadIn(stateDir: string, { id, atMs }: { id: string; atMs: number }): Promise<ReloadState> {
  try {
    const records = JSON.parse(await readFile(join(stateDir, 'reloads.json'), 'utf8')) as ReloadRecord[];
    const own = records.find((record) => record.by === reloadLabel(id) && record.atMs >= atMs);
    if (own?.verdict === 'done') return { state: 'done' };
    return own === undefined ? { state: 'none' } : { state: 'bad', reason: own.reason ?? 'it was not done' };
  } catch {
    return { state: 'none' };
  }
}

/** What the process gets of the environment: nothing that the app or the service manager is meant to have. */
const inherited = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR'];

/** Starts the process of one deploy. It ends when the channel to this process breaks. */
export function spawnDeploy(order: DeployOrder, { onMessage, onEnd }: DeployEvents): void {
  const main = fileURLToPath(new URL('../deploy/main.js', import.meta.url));
  const env = Object.fromEntries(inherited.map((name) => [name, process.env[name]]));
  const child = spawn(process.execPath, [main], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: { ...env, NODE_ENV: 'production', [deployVariable]: JSON.stringify(order) },
  });
  let said = '';
  let over = false;
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-2_000);
  });
  const end = (how: string): void => {
    if (over) return;
    over = true;
    onEnd(said === '' ? how : `${how}: ${said.trim()}`);
  };
  child.on('message', (message: unknown) => {
    if (isDeployMessage(message)) onMessage(message);
  });
  child.once('error', (error) => end(error.message));
  child.once('close', (code, signal) => end(signal ?? `exit status ${code}`));
  child.unref();
  child.channel?.unref();
  (child.stderr as Partial<{ unref(): void }> | null)?.unref?.();
}
