import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { createCourse, type Daemon, type World } from '../../../src/deploy/course.js';
import type { ReloadState, ReloadVerdict } from '../../../src/deploy/decide.js';
import type { DeployLine, DeployRecord, DeploySettings } from '../../../src/protocol/deploy.js';

/** A directory of deploys with one release, `old`, that serves, and a source beside it. */
export interface Place {
  readonly root: string;
  readonly directory: string;
  readonly source: string;
  readonly settings: DeploySettings;
}

export function makePlace(t: TestContext, given: Partial<DeploySettings> = {}): Place {
  // Each step is written through to the disk, which a file system in memory does at once.
  const root = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'rom-agent-deploy-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const directory = join(root, 'shop');
  const source = join(root, 'source');
  for (const path of [join(directory, 'releases/old'), source]) mkdirSync(path, { recursive: true });
  for (const path of [join(directory, 'releases/old'), source])
    writeFileSync(join(path, 'server.js'), '// the app\n');
  symlinkSync('releases/old', join(directory, 'current'));
  return { root, directory, source, settings: settingsOf(directory, source, given) };
}

export function settingsOf(
  directory: string,
  source: string,
  given: Partial<DeploySettings> = {},
): DeploySettings {
  return {
    ...{ source, ref: null, sha256: null, directory, steps: [], fetchTimeoutMs: 60_000, user: null, env: {} },
    ...{ keep: 5, minFreeBytes: 0, minFreeInodes: 0, window: null, workingDirectory: null },
    app: join(directory, 'current/server.js'),
    ...given,
  };
}

/** The same place as it is at this moment. */
export function copyOf({ directory, source, settings }: Place, to: string): Place {
  cpSync(directory, to, { recursive: true, verbatimSymlinks: true });
  return {
    root: to,
    directory: to,
    source,
    settings: { ...settings, directory: to, app: join(to, 'current/server.js') },
  };
}

export interface Played {
  readonly lines: DeployLine[];
  /** How often a reload was asked for. */
  readonly reloads: string[];
  readonly record: () => DeployRecord | null;
}

export interface Playing {
  readonly verdict?: ReloadVerdict;
  /** What is known of a reload before this process. */
  readonly known?: ReloadState;
  readonly daemon?: null;
  readonly world?: Partial<World>;
}

export function play(
  { settings }: Place,
  { verdict = { state: 'done' }, known, daemon, world }: Playing = {},
) {
  const played: Played = {
    lines: [],
    reloads: [],
    record: () => {
      const last = played.lines.at(-1);
      return last?.type === 'record' ? last.record : null;
    },
  };
  const fake: Daemon = {
    reload: async (id) => {
      played.reloads.push(id);
      return verdict;
    },
    reloadOf: async () => known ?? { state: 'none' },
    pathsInUse: async () => [],
  };
  const course = createCourse({
    settings,
    daemon: daemon === null ? null : fake,
    clock: () => 1_795_000_000_000,
    now: () => 0,
    sleep: async () => {},
    sync: async () => {},
    emit: (line) => played.lines.push(line),
    checkpoint: () => {},
    inherited: { PATH: process.env.PATH ?? '' },
    ...world,
  });
  return { ...played, course, lines: played.lines };
}

/** What is in the directory, with where its links lead. */
export function contentsOf(directory: string): readonly string[] {
  return readdirSync(directory, { withFileTypes: true })
    .map((entry) => {
      const target = entry.isSymbolicLink() ? ` -> ${readlinkSync(join(directory, entry.name))}` : '';
      return `${entry.name}${target}`;
    })
    .sort();
}
