import { sum } from '../../core/canary.js';
import type { Event } from '../../core/events.js';
import type { State, Worker } from '../../core/state.js';
import {
  beginUpgrade,
  isOver,
  isRevocable,
  stepUpgrade,
  type Upgrade,
  type UpgradeEffect,
  type UpgradeEvent,
  type UpgradePolicy,
  upgradeDeadline,
} from '../../core/upgrade.js';
import type { Answer } from '../../protocol/control-api.js';
import type { Heartbeat } from '../../protocol/heartbeat.js';
import type { WorkerKey } from '../../protocol/messages.js';
import type { UpgradeLine, UpgradeOptions } from '../../protocol/upgrade.js';
import { chooseNode, type NextMaster, type NextMasterOptions, startNextMaster } from './next-master.js';

/** The upgrade of the daemon under live connections, on the side of the master that serves. */
export interface Upgrades {
  /** Resolves once it is refused or has begun; the last line has the verdict. */
  upgrade(options: UpgradeOptions, onLine: (line: UpgradeLine) => void): Promise<Answer>;
  /** Gives up the upgrade that is under way; null: there is none that could be. */
  abort(by: string): Answer | null;
  changed(after: State): void;
  /** Why nothing else can be begun now; null: no upgrade is under way. */
  refusal(): string | null;
  /** Resolves once no next master is there that has not taken over. */
  ended(): Promise<void>;
}

export interface UpgradesSeam {
  readonly state: () => State;
  readonly post: (event: Event) => void;
  readonly policy: () => UpgradePolicy;
  readonly urls: () => readonly string[];
  /** Why this service cannot be upgraded, or not now; null: it can. */
  readonly refuse: () => string | null;
  readonly sockets: () => Pick<NextMasterOptions, 'listeners' | 'passed'> | { readonly reason: string };
  /** Whether the number of workers follows the load. */
  readonly isAuto: () => boolean;
  /** Tells the service manager which process is the main one, and is heard by nobody from then on. */
  readonly handOver: (pid: number) => void;
  /** Ends all that only one master may do: the control socket, jobs, deploys, the admin server, the record. */
  readonly leave: (next: { readonly pid: number; readonly by: string }) => Promise<void>;
  /** The service is to stop: what is still open here drains. */
  readonly hurry: (why: string) => void;
  /** Closes the listening sockets. */
  readonly letGo: () => void;
  readonly now: () => number;
  readonly after: (delay: number, act: () => void) => () => void;
  readonly info: (message: string, fields?: Readonly<Record<string, unknown>>) => void;
  readonly warn: (message: string, fields?: Readonly<Record<string, unknown>>) => void;
  readonly start?: (options: NextMasterOptions) => NextMaster;
}

interface Run {
  readonly options: UpgradeOptions;
  readonly onLine: (line: UpgradeLine) => void;
  upgrade: Upgrade;
  next: NextMaster | null;
  /** What the workers had answered when the first one of the next master was ready. */
  before: ReadonlyMap<WorkerKey, Heartbeat> | null;
  toldAlone: boolean;
}

export function createUpgrades(seam: UpgradesSeam): Upgrades {
  const { state, post, policy, now, after, info, warn } = seam;
  let run: Run | null = null;
  let cancel = (): void => {};
  let waiting: (() => void)[] = [];

  const ready = (): readonly Worker[] => state().workers.filter(({ phase }) => phase === 'ready');
  const feed = (event: UpgradeEvent): void => {
    if (run === null) return;
    const [upgrade, effects] = stepUpgrade(run.upgrade, event, now(), policy());
    const wasOver = isOver(run.upgrade);
    run.upgrade = upgrade;
    for (const effect of effects) perform(run, effect);
    cancel();
    const deadline = upgradeDeadline(upgrade);
    if (deadline !== null) cancel = after(Math.max(0, deadline - now()), () => feed({ type: 'tick' }));
    if (isOver(upgrade) && !wasOver) finish(run);
  };
  const perform = (one: Run, effect: UpgradeEffect): void => {
    const { upgrade, next, onLine } = one;
    switch (effect.type) {
      case 'step':
        info(`upgrade: ${effect.text}`);
        return onLine({ type: 'step', atMs: Math.round(now() - upgrade.startedAt), text: effect.text });
      case 'grow':
        return next?.send({ type: 'grow', workers: Math.max(1, state().slots.length) });
      case 'withdraw':
        return next?.send({ type: 'withdraw', reason: effect.reason });
      case 'kill':
        return upgrade.pid === null ? undefined : next?.kill(upgrade.pid);
      case 'hand-over':
        return void handOver(one);
      case 'retire': {
        seam.letGo();
        const why = `process ${upgrade.pid} has taken over`;
        return post({ type: 'retire', why, patience: one.options.patience });
      }
    }
  };
  const handOver = async (one: Run): Promise<void> => {
    const { pid } = one.upgrade;
    if (pid === null) return;
    await seam.leave({ pid, by: one.options.by });
    if (one.upgrade.name !== 'handing-over') return;
    seam.handOver(pid);
    one.next?.send({ type: 'take-over', auto: seam.isAuto() });
  };
  const finish = ({ upgrade, onLine }: Run): void => {
    const tookMs = Math.round(now() - upgrade.startedAt);
    if (upgrade.name === 'done') {
      if (upgrade.trouble !== null) warn(`the upgrade is done, but ${upgrade.trouble}`);
      onLine({ type: 'verdict', verdict: 'done', reason: upgrade.trouble, pid: upgrade.pid ?? 0, tookMs });
    } else if (upgrade.name === 'rolled-back') {
      const { reason } = upgrade;
      warn(`upgrade rolled back: ${reason}`, { tookMs });
      onLine({ type: 'verdict', verdict: 'rolled-back', reason, pid: process.pid, tookMs });
      run = null;
    }
    for (const resolve of waiting.splice(0)) resolve();
  };
  const begin = (options: UpgradeOptions, onLine: Run['onLine']): Answer => {
    const reason = run === null ? seam.refuse() : 'another one is under way';
    if (reason !== null) return { accepted: false, reason: `upgrade: ${reason}` };
    const node = chooseNode(options.node);
    if ('reason' in node) return { accepted: false, reason: `upgrade: ${node.reason}` };
    const sockets = seam.sockets();
    if ('reason' in sockets) return { accepted: false, reason: `upgrade: ${sockets.reason}` };
    const upgrade = beginUpgrade(now(), { urls: seam.urls(), policy: policy() });
    const begun: Run = { options, onLine, upgrade, next: null, before: null, toldAlone: false };
    run = begun;
    info(`upgrade, asked for by ${options.by}: starts the next master with ${node.path}`);
    begun.next = (seam.start ?? startNextMaster)({
      node: node.path,
      ...sockets,
      onMessage: (message) => {
        if (message.type === 'stop') return seam.hurry(message.why);
        begun.before ??= message.type === 'ready' ? snapshot(ready()) : null;
        const others = sum(ready(), begun.before ?? new Map());
        feed({ type: 'said', message, others, blocked: message.type === 'grown' ? seam.refuse() : null });
      },
      onGone: () => {
        feed({ type: 'gone' });
        // Whoever waits for it to end need not any more.
        if (begun.upgrade.name === 'done') seam.hurry('the next master is gone');
      },
    });
    feed({ type: 'tick' });
    return { accepted: true, message: `the next master starts with ${node.path}` };
  };

  return {
    upgrade: async (options, onLine) => begin(options, onLine),
    abort: (by) => {
      if (run === null || !isRevocable(run.upgrade)) return null;
      feed({ type: 'end', reason: `aborted by ${by}` });
      return { accepted: true, message: 'the upgrade is rolled back' };
    },
    changed: ({ life, workers }) => {
      if (run === null) return;
      if (run.upgrade.name !== 'done') {
        if (life.phase !== 'serving' || life.leaving !== null)
          feed({ type: 'end', reason: 'the service stops' });
        return;
      }
      if (run.toldAlone || life.phase !== 'stopping') return;
      if (
        !workers.every((worker) => worker.phase === 'dying' || (worker.phase === 'draining' && worker.closed))
      )
        return;
      run.toldAlone = true;
      run.next?.send({ type: 'alone' });
    },
    refusal: () => (run === null ? null : 'an upgrade of the daemon is under way'),
    ended: () =>
      new Promise((resolve) => {
        if (run === null || isOver(run.upgrade)) resolve();
        else waiting = [...waiting, resolve];
      }),
  };
}

function snapshot(workers: readonly Worker[]): ReadonlyMap<WorkerKey, Heartbeat> {
  return new Map(
    workers.flatMap(({ key, heartbeat }): [WorkerKey, Heartbeat][] =>
      heartbeat === null ? [] : [[key, heartbeat]],
    ),
  );
}
