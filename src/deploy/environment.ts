import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { type Account, giveTree } from './account.js';
import type { World } from './course.js';
import type { Layout } from './layout.js';
import type { Source } from './plan.js';

/** Of the environment of a process, the variables that say nothing about the service. */
export function harmless(env: NodeJS.ProcessEnv): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of ['PATH', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR']) {
    const value = env[name];
    if (value !== undefined) found[name] = value;
  }
  return found;
}

/** A home of its own, so that neither git nor npm finds what belongs to the service. */
export function makeHome(
  layout: Layout,
  { world, account, source }: { world: World; account: Account | null; source: Source },
): Readonly<Record<string, string>> {
  const { home } = layout;
  if (!existsSync(home)) mkdirSync(home, { mode: 0o700 });
  // git reads a repository of another account only where it is told to, and only by this file.
  const config = join(home, '.gitconfig');
  if (source.kind === 'git' && source.url.startsWith('/'))
    writeNew(config, `[safe]\n\tdirectory = ${source.url}\n\tdirectory = ${source.url}/.git\n`);
  if (account !== null) giveTree(home, account);
  return environmentOf(world, home);
}

/** The commands of earlier deploys could write there: what they have made is neither replaced nor, if a link, followed. */
function writeNew(path: string, text: string): void {
  try {
    writeFileSync(path, text, { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

export function environmentOf(world: World, home: string): Readonly<Record<string, string>> {
  return {
    ...world.inherited,
    PATH: pathFor(world),
    HOME: home,
    GIT_TERMINAL_PROMPT: '0',
    ...world.settings.env,
  };
}

/** The Node that runs the service comes first. */
export function pathFor({ inherited, settings }: World): string {
  const { PATH: usual = '/usr/local/bin:/usr/bin:/bin' } = inherited;
  return settings.env.PATH ?? [dirname(process.execPath), usual].join(delimiter);
}
