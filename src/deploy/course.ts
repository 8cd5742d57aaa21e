import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type {
  DeployLine,
  DeployOptions,
  DeployOrigin,
  DeployRecord,
  DeploySettings,
  DeployStage,
  RollbackOptions,
} from '../protocol/deploy.js';
import { type Account, giveTree, openDirectory, ownAccount } from './account.js';
import { checkAll, checkReachable, freeBytes } from './check.js';
import { type CommandResult, endMarked, lastWords, runCommand } from './command.js';
import { decide, type Journal, type Outcome, type ReloadState, type ReloadVerdict } from './decide.js';
import { environmentOf, makeHome, pathFor } from './environment.js';
import { FetchError, fetchSource, makeEmpty, type Run } from './fetch.js';
import {
  addToHistory,
  diskOf,
  hasRelease,
  journalOrAside,
  type Layout,
  layoutOf,
  listPartials,
  makeLayout,
  prepareWayBack,
  readCurrent,
  readHistory,
  removeJournal,
  removeWayBack,
  seal,
  switchTo,
  writeJournal,
} from './layout.js';
import { outputLog } from './output-log.js';
import { describeSource, pinned, type Source } from './plan.js';
import { prune, pruneLogs } from './prune.js';
import { isWithin, parseWindow } from './window.js';

/** The daemon whose workers are to run the release. */
export interface Daemon {
  /** Resolves with the verdict of the reload. Rejects where the daemon goes away before. */
  reload(id: string): Promise<ReloadVerdict>;
  /** What became of the reload of this deploy. */
  reloadOf(id: string, sinceMs: number): Promise<ReloadState>;
  /** Real paths that workers which live may read; null: nobody knows all of them. */
  pathsInUse(): Promise<readonly string[] | null>;
}

export interface World {
  readonly settings: DeploySettings;
  /** null: none runs, as before the first start. */
  readonly daemon: Daemon | null;
  /** Wall clock, ms since 1970. */
  readonly clock: () => number;
  /** Monotonic, ms. */
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<unknown>;
  readonly emit: (line: DeployLine) => void;
  /** Resolves once the file system has written what is there. */
  readonly sync: (path: string) => Promise<void>;
  /**
   * Called between two changes on disk, with the name of the one that follows. Throws where this process may change nothing
   * any more; tests end it here.
   */
  readonly checkpoint: (name: string) => void;
  /** What the commands get of the environment of this process. */
  readonly inherited: Readonly<Record<string, string>>;
}

export interface Course {
  /** Emits lines. The last line is the record; with a dry run it is the plan. */
  deploy(
    id: string,
    options: Omit<DeployOptions, 'origin'> & { readonly origin: DeployOrigin },
  ): Promise<void>;
  rollback(id: string, options: RollbackOptions): Promise<void>;
  /** Goes on with what is under way, or goes back; false: there was nothing. */
  resume(): Promise<boolean>;
}

/** Something that ends a deploy before it has changed what serves. */
class Failed extends Error {}

/** The steps of a deploy, from the check of the disk to the verdict. The lock is the caller's. */
export function createCourse(world: World): Course {
  const { settings, daemon, clock, now, emit, checkpoint } = world;
  const layout = layoutOf(settings.directory);
  let begun = now();

  const stage = (name: DeployStage, detail: string, step: string | null = null): void =>
    emit({ type: 'stage', atMs: Math.round(now() - begun), stage: name, name: step, detail });
  const note = (journal: Journal): Journal => {
    checkpoint(`journal ${journal.stage}`);
    writeJournal(layout, journal);
    checkpoint(`after journal ${journal.stage}`);
    return journal;
  };
  /** The last act: what is on disk is right already. */
  const close = (journal: Journal, { verdict, reason }: Outcome): void => {
    const { id, ref, commit, by, origin, atMs, previous } = journal;
    const tookMs = Math.max(0, clock() - atMs);
    const record: DeployRecord = {
      ...{ id, ref, commit, by, origin, atMs, tookMs, verdict, reason, previous },
    };
    checkpoint('history');
    try {
      addToHistory(layout, record);
    } catch (error) {
      emitProblem(`the history of deploys cannot be written: ${(error as Error).message}`);
    }
    pruneLogs(layout);
    checkpoint('remove journal');
    removeJournal(layout);
    emit({ type: 'record', record });
  };
  const emitProblem = (text: string): void => emit({ type: 'output', name: 'deploy', text });

  const goBack = async (journal: Journal, outcome: Outcome): Promise<void> => {
    const { id, previous, origin } = journal;
    const wasSwitched = readCurrent(layout) === id;
    if (wasSwitched && previous !== id) {
      note({ ...journal, stage: 'back', outcome });
      stage('back', previous === null ? 'current is removed' : `current leads to ${previous} again`);
      checkpoint('switch back');
      switchTo(layout, previous !== null && hasRelease(layout, previous) ? previous : null);
    }
    checkpoint('remove what is unfinished');
    await endMarked(layout.mark(id));
    await removePartial(layout, id);
    // A release that was switched to stays for a look at it; one that never was is of no use.
    if (origin !== 'rollback' && !wasSwitched && outcome.verdict !== 'rolled-back')
      await rm(layout.release(id), { recursive: true, force: true });
    removeWayBack(layout);
    close(journal, outcome);
  };
  const finish = async (journal: Journal, outcome: Outcome): Promise<void> => {
    note({ ...journal, stage: 'prune', outcome });
    removeWayBack(layout);
    const removed = await prune(world, { layout, previous: journal.previous });
    if (removed.length > 0) stage('prune', `removed ${removed.join(', ')}`);
    close(journal, outcome);
  };
  const reload = async (journal: Journal): Promise<void> => {
    if (daemon === null) return finish(journal, { verdict: 'done', reason: null });
    stage('reload', `the workers start from ${journal.id}, a canary first`);
    checkpoint('reload');
    const result = await daemon.reload(journal.id);
    checkpoint('after reload');
    if (result.state === 'done') return finish(journal, { verdict: 'done', reason: null });
    return goBack(journal, { verdict: 'rolled-back', reason: result.reason });
  };
  const switchAndReload = async (journal: Journal): Promise<void> => {
    const { id, previous } = journal;
    let noted = note({ ...journal, stage: 'switch' });
    stage('switch', `current leads to ${id}${previous === null ? '' : ` instead of ${previous}`}`);
    // On a full disk the way back must not need space.
    if (previous !== null) prepareWayBack(layout, previous);
    checkpoint('switch');
    switchTo(layout, id);
    try {
      noted = note({ ...noted, stage: 'reload' });
    } catch (error) {
      return goBack(noted, {
        verdict: 'failed',
        reason: `the journal cannot be written: ${(error as Error).message}`,
      });
    }
    await reload(noted);
  };

  const make = async (
    journal: Journal,
    { source, account }: { source: Source; account: Account | null },
  ): Promise<Journal> => {
    const { id } = journal;
    const partial = layout.partial(id);
    const log = outputLog(layout.log(id));
    const environment = makeHome(layout, { world, account, source });
    const runAs =
      (name: string): Run =>
      (command, cwd, timeoutMs, { secrets, giveUp } = {}) =>
        runCommand({
          ...{ command, cwd, account, timeoutMs, giveUp, mark: layout.mark(id) },
          env: { ...environment, ...secrets },
          onLine: (text) => {
            const shown = log.add(name, text);
            if (shown !== null) emit({ type: 'output', name, text: shown });
          },
        });
    let noted = note({ ...journal, stage: 'fetch' });
    stage('fetch', describeSource(source));
    await makeEmpty(partial);
    if (account !== null) giveTree(partial, account);
    checkpoint('fetch');
    const { commit } = await fetchSource({
      ...{ source, into: partial, timeoutMs: settings.fetchTimeoutMs, now },
      run: runAs('fetch'),
      freeBytes: () => freeBytes(partial),
      minFreeBytes: settings.minFreeBytes,
    });
    noted = { ...noted, commit };
    for (const { name, command, timeoutMs } of settings.steps) {
      noted = note({ ...noted, stage: 'step' });
      stage('step', command.join(' '), name);
      const result = await runAs(name)(command, partial, timeoutMs);
      if (result.failure !== null) throw new Failed(`${name} failed: ${withTail(result)}`);
      checkpoint(`after step ${name}`);
    }
    noted = note({ ...noted, stage: 'seal' });
    stage('seal', `the release is complete${commit === null ? '' : `, of ${commit}`}`);
    await rm(join(partial, '.git'), { recursive: true, force: true });
    // Whoever ran the commands has no hand in the release from here on.
    if (account !== null) giveTree(partial, ownAccount());
    openDirectory(partial);
    await world.sync(partial);
    checkpoint('rename');
    seal(layout, id);
    return noted;
  };

  const deploy: Course['deploy'] = async (id, options) => {
    begun = now();
    const { by, ref = null, origin } = options;
    const path = pathFor(world);
    const { findings, plan } = checkAll({ ...{ settings, layout, ref, path }, nowMs: clock() });
    if (options.dryRun === true) return dryRun(world, { findings, plan });
    const atMs = clock();
    const journal: Journal = {
      ...{ version: 1, id, ref: ref ?? settings.ref, commit: null, by, origin, atMs, stage: 'check' },
      previous: readCurrent(layout),
      outcome: null,
    };
    try {
      makeLayout(layout);
      note(journal);
    } catch (error) {
      return recordOnly(journal, `${settings.directory} cannot be written: ${(error as Error).message}`);
    }
    stage('check', 'source, directory, disk, user, commands');
    let made = journal;
    try {
      const bad = findings.filter(({ isGood }) => !isGood);
      if (plan === null) throw new Failed(bad.map(({ detail }) => detail).join('; '));
      const problem = windowProblem(world, origin);
      if (problem !== null) throw new Failed(problem);
      const { commit } = options;
      made = await make(
        journal,
        commit === undefined ? plan : { ...plan, source: pinned(plan.source, commit) },
      );
      const late = windowProblem(world, origin);
      if (late !== null) throw new Failed(late);
    } catch (error) {
      const reason = error instanceof Failed || error instanceof FetchError ? error.message : reasonOf(error);
      return goBack(made, { verdict: 'failed', reason });
    }
    if (isUnchanged(made)) {
      const reason = `${made.commit} serves already`;
      return goBack(made, { verdict: 'unchanged', reason });
    }
    await switchAndReload(made);
  };
  /** Nobody asked for this commit in particular, and it serves. */
  const isUnchanged = ({ origin, commit, previous }: Journal): boolean =>
    (origin === 'hook' || origin === 'schedule') &&
    commit !== null &&
    previous !== null &&
    readHistory(layout).find(({ id, verdict }) => id === previous && verdict === 'done')?.commit === commit;
  const recordOnly = (journal: Journal, reason: string): void => {
    const { id, ref, commit, by, origin, atMs, previous } = journal;
    const tookMs = Math.max(0, clock() - atMs);
    const record = {
      ...{ id, ref, commit, by, origin, atMs, tookMs, reason, previous },
      verdict: 'failed',
    } as const;
    emit({ type: 'record', record });
  };

  const resume: Course['resume'] = async () => {
    begun = now();
    const journal = journalOrAside(layout, emitProblem);
    if (journal === null) {
      for (const name of listPartials(layout))
        await rm(join(layout.releases, name), { recursive: true, force: true });
      removeWayBack(layout);
      return false;
    }
    await endMarked(layout.mark(journal.id));
    for (;;) {
      const reloadState = (await daemon?.reloadOf(journal.id, journal.atMs)) ?? ({ state: 'none' } as const);
      const decision = decide(journal, {
        disk: diskOf(layout, journal),
        reload: reloadState,
        when: daemon === null ? 'start' : 'running',
      });
      const outcome = 'verdict' in decision ? decision : null;
      if (outcome !== null) {
        await (outcome.do === 'back' ? goBack(journal, outcome) : finish(journal, outcome));
        return true;
      }
      if (decision.do === 'reload') {
        await reload(note({ ...journal, stage: 'reload' }));
        return true;
      }
      await world.sleep(waitInterval);
    }
  };

  return {
    deploy,
    resume,
    rollback: async (id, { by }) => {
      begun = now();
      const commit = readHistory(layout).find((record) => record.id === id)?.commit ?? null;
      await switchAndReload({
        ...{ version: 1, id, ref: null, commit, by, origin: 'rollback', atMs: clock(), stage: 'switch' },
        previous: readCurrent(layout),
        outcome: null,
      });
    },
  };
}

/** ms between two looks at a reload that is under way */
const waitInterval = 250;

async function dryRun(world: World, { findings, plan }: ReturnType<typeof checkAll>): Promise<void> {
  const { settings, emit } = world;
  const all = [...findings];
  if (plan !== null) {
    const env = environmentOf(world, settings.directory);
    const run: Run = (command, cwd, timeoutMs, { secrets } = {}) =>
      runCommand({
        ...{ command, cwd, timeoutMs, env: { ...env, ...secrets }, account: plan.account },
        mark: `dry-run ${process.pid}`,
        onLine: () => {},
      });
    const timeoutMs = Math.min(settings.fetchTimeoutMs, dryRunLimit);
    const reachable = await checkReachable(plan.source, { run, cwd: '/', timeoutMs });
    all[all.findIndex(({ what }) => what === 'source')] = reachable;
  }
  emit({ type: 'plan', isGood: all.every(({ isGood }) => isGood), findings: all });
}

/** ms for a source to answer */
const dryRunLimit = 20_000;

function windowProblem({ settings, clock }: World, origin: DeployOrigin): string | null {
  if (origin !== 'schedule' || settings.window === null) return null;
  const window = parseWindow(settings.window);
  return window !== null && isWithin(window, clock())
    ? null
    : `the window ${settings.window} is closed (deploy.window): the next scheduled deploy tries again`;
}

async function removePartial(layout: Layout, id: string): Promise<void> {
  for (const name of listPartials(layout).filter((name) => name.startsWith(`${id}.partial`)))
    await rm(join(layout.releases, name), { recursive: true, force: true });
}

function withTail({ failure, tail }: CommandResult): string {
  const said = lastWords(tail, 5);
  return said === '' ? String(failure) : `${failure}: ${said}`;
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'ENOSPC' ? `the disk is full: ${message}` : message;
}
