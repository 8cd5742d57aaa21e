import { fstatSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { LogFormat } from '../settings/config.js';
import type { Layout } from './format.js';

type Env = Readonly<Record<string, string | undefined>>;

/** Decides `auto`: the journal where it listens on this descriptor, a terminal's pretty lines, else JSON. */
export function chooseLayout(format: LogFormat, { fd, env }: { fd: number; env: Env }): Layout {
  if (format !== 'auto') return format;
  if (isJournal(fd, env)) return 'journal';
  return isTerminal(fd) ? 'pretty' : 'json';
}

/** Colours go to terminals that want them (no-color.org). */
export function wantsColour({ fd, env }: { fd: number; env: Env }): boolean {
  return isTerminal(fd) && !env.NO_COLOR && env.TERM !== 'dumb';
}

/** JOURNAL_STREAM names the device and inode of the journal's stream, since it outlives redirections: systemd.exec(5). */
export function isJournal(fd: number, env: Env): boolean {
  if (!env.JOURNAL_STREAM) return false;
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    return env.JOURNAL_STREAM === `${dev}:${ino}`;
  } catch {
    return false;
  }
}

/** node:tty brings node:net along (3 ms), so it is asked about character devices only. */
export function isTerminal(fd: number): boolean {
  try {
    if (!fstatSync(fd).isCharacterDevice()) return false;
  } catch {
    return false;
  }
  const { isatty } = createRequire(import.meta.url)('node:tty') as typeof import('node:tty');
  return isatty(fd);
}
