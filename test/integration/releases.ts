import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { ReloadRecord } from '../../src/protocol/reload-record.js';
import type { ClusterStats } from '../../src/protocol/stats.js';
import type { ClientGroup } from '../support/load.js';
import { ask } from '../support/net.js';
import { waitFor } from '../support/wait.js';
import {
  type Entry,
  entries,
  fixture,
  patience,
  type ServeOptions,
  type Service,
  serve,
  temporaryDirectory,
} from './service.js';

/** All ways in which requests come, a little of each, and no more than leaves the workers that boot their CPU. */
export const mixedClients: readonly ClientGroup[] = [
  { kind: 'keep-alive', count: 6, pauseMs: 15 },
  { kind: 'per-connection', count: 4, pauseMs: 15 },
  { kind: 'slow-body', count: 2 },
  { kind: 'pipelining', count: 2, pauseMs: 15 },
];

/** Releases as directories, `current` being a symbolic link to the one that is to be served. */
export interface ReleaseTree {
  readonly root: string;
  /** Below `current`. */
  readonly app: string;
  /** Makes a directory of it from a fixture of test/fixtures/releases, or from a text, and switches over. */
  publish(name: string, what: string | { readonly text: string }): void;
  /** Has boots-slowly.mjs of each release go on. */
  letGo(): void;
}

export function releaseTree(t: TestContext): ReleaseTree {
  const root = temporaryDirectory(t);
  return {
    root,
    app: join(root, 'current', 'app.mjs'),
    publish: (name, what) => {
      const directory = join(root, 'releases', name);
      mkdirSync(directory, { recursive: true });
      copyFileSync(fixture('releases/good.mjs'), join(directory, 'good.mjs'));
      if (typeof what === 'string') copyFileSync(fixture(`releases/${what}`), join(directory, 'app.mjs'));
      else writeFileSync(join(directory, 'app.mjs'), what.text);
      switchTo(root, name);
    },
    letGo: () => writeFileSync(join(root, 'go'), ''),
  };
}

/** As `ln -sfn` does not: there is no moment without a link. */
export function switchTo(root: string, name: string): void {
  symlinkSync(join('releases', name), join(root, 'next'));
  renameSync(join(root, 'next'), join(root, 'current'));
}

/** A daemon with a state directory of its own, which reloads without a soak unless told. */
export interface Reloading extends Service {
  readonly stateDir: string;
}

export async function serveReloading(t: TestContext, options: ServeOptions): Promise<Reloading> {
  const stateDir = temporaryDirectory(t);
  const env = {
    ROM_AGENT_RELOAD_SOAK: '0',
    ROM_AGENT_STATE_DIR: stateDir,
    ROM_AGENT_CONTROL_SOCKET: join(stateDir, 'control.sock'),
    ...options.env,
  };
  return { ...(await serve(t, { ...options, env })), stateDir };
}

/** Serves a first release that is good. */
export async function serveReleases(
  t: TestContext,
  env: Readonly<Record<string, string>> = {},
): Promise<Reloading & { tree: ReleaseTree }> {
  const tree = releaseTree(t);
  tree.publish('1', 'good.mjs');
  return { ...(await serveReloading(t, { app: tree.app, env })), tree };
}

export interface Verdict {
  readonly verdict: 'done' | 'rolled back' | 'stopped';
  readonly generation: number;
  /** Empty where it is done. */
  readonly reason: string;
}

/** Asks for a reload by a signal, and waits until it is over. */
export function reload(service: Service, signal: NodeJS.Signals = 'SIGHUP'): Promise<Verdict> {
  const next = verdict(service);
  service.daemon.kill(signal);
  return next;
}

/** That of the next reload to end. */
export async function verdict({ daemon }: Service): Promise<Verdict> {
  const count = verdictsOf(daemon).length + 1;
  const all = await waitFor(`verdict ${count}`, () => verdictsOf(daemon), {
    timeout: patience,
    until: ({ length }) => length >= count,
  }).catch((error: Error) => {
    throw new Error(`${error.message}; output:\n${daemon.output()}`);
  });
  const last = all[count - 1];
  assert.ok(last !== undefined);
  return last;
}

function verdictsOf(daemon: { readonly lines: readonly string[] }): Verdict[] {
  return entries(daemon).flatMap(({ msg }: Entry) => {
    const match =
      /^reload to generation (\d+) (done|rolled back|stopped) (?:in|after) [\d.]+ s(?:: (.*))?$/s.exec(msg);
    if (match === null) return [];
    const [, generation, verdict, reason = ''] = match;
    return [{ generation: Number(generation), verdict: verdict as Verdict['verdict'], reason }];
  });
}

/** What the state directory has of reloads, newest first. */
export function recordsOf({ stateDir }: Reloading): ReloadRecord[] {
  return JSON.parse(readFileSync(join(stateDir, 'reloads.json'), 'utf8')) as ReloadRecord[];
}

export interface Answer {
  readonly pid: number;
  readonly release: string;
  readonly NODE_ENV: string;
  readonly COLOUR?: string;
}

/** Which release answers, asked often enough to meet every worker. */
export async function answers({ port }: Service): Promise<Answer[]> {
  const all = await Promise.all(Array.from({ length: 16 }, () => ask({ port, path: '/' })));
  return all.map(({ json }) => json as Answer);
}

export async function releasesServed(service: Service): Promise<string[]> {
  return [...new Set((await answers(service)).map(({ release }) => release))];
}

/** Only these processes are left of the workers: what was replaced has drained and is gone. */
export async function onlyWorkers({ daemon, port, routes }: Service, count = 2): Promise<number[]> {
  const phases = async () => {
    const { json } = await ask({ port, path: `${routes}/api/cluster/stats` });
    const { workers } = json as Partial<ClusterStats>;
    if (workers === undefined) throw new Error(`no statistics: ${JSON.stringify(json)}`);
    return workers;
  };
  const workers = await waitFor('nobody but who serves', phases, {
    timeout: patience,
    until: (workers) => workers.length === count && workers.every(({ phase }) => phase === 'ready'),
  }).catch((error: Error) => {
    throw new Error(`${error.message}; output:\n${daemon.output()}`);
  });
  return workers.flatMap(({ pid }) => (pid === null ? [] : [pid]));
}
