import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { signalPid } from '../../support/process.js';
import { command } from './command.js';

/** A clean Debian with nothing in it but what is essential, and systemd. */
export const suites = ['bookworm', 'trixie'] as const;
export type Suite = (typeof suites)[number];

/** Kept between runs: each is 40 s of downloads. ROM_AGENT_TREES names another folder. */
const folder = process.env.ROM_AGENT_TREES ?? '/var/cache/rom-agent-test/trees';

/** The tree's folder, made if it is missing. Throws an Error with debootstrap's last words where it cannot be. */
export async function treeOf(suite: Suite): Promise<string> {
  const path = join(folder, suite);
  if (existsSync(path)) return path;
  await mkdir(folder, { recursive: true });
  await sweep();
  // Under its name only when it is complete.
  const unfinished = `${path}.${process.pid}`;
  const argv = ['debootstrap', '--variant=minbase', '--include=systemd,systemd-sysv,dbus', suite, unfinished];
  const { code, stdout, stderr } = await command(argv, { timeout: 900_000 });
  if (code !== 0) {
    await rm(unfinished, { recursive: true, force: true });
    throw new Error(`no tree of ${suite}: ${`${stdout}${stderr}`.trim().split('\n').slice(-3).join('; ')}`);
  }
  await rename(unfinished, path).catch((error: unknown) => {
    // Another run was faster.
    if (!existsSync(path)) throw error;
  });
  return path;
}

/** What runs that were killed left half made. */
async function sweep(): Promise<void> {
  for (const name of await readdir(folder)) {
    const owner = /^[a-z]+\.(\d+)$/.exec(name)?.[1];
    if (owner === undefined || signalPid(Number(owner), 0)) continue;
    await rm(join(folder, name), { recursive: true, force: true });
  }
}
