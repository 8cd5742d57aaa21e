import { readdirSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import type { World } from './course.js';
import { type Layout, listReleases, readCurrent, readHistory } from './layout.js';

/**
 * Removes what is more than `deploy.keep`: never the current release, the one before, or one that a worker still reads.
 *
 * @returns the releases that are gone
 */
export async function prune(
  { settings, daemon, checkpoint }: World,
  { layout, previous }: { layout: Layout; previous: string | null },
): Promise<readonly string[]> {
  const current = readCurrent(layout);
  const inUse = daemon === null ? [] : await daemon.pathsInUse().catch(() => null);
  if (inUse === null) return [];
  const isBad = (id: string) => history.find((record) => record.id === id)?.verdict === 'rolled-back';
  const history = readHistory(layout);
  const there = listReleases(layout);
  const kept = new Set<string>([current, previous].filter((id) => id !== null));
  for (const id of there) {
    const path = layout.release(id);
    if (inUse.some((used) => used === path || used.startsWith(path + sep))) kept.add(id);
  }
  for (const id of there) if (kept.size < settings.keep && !isBad(id)) kept.add(id);
  const surplus = there.filter((id) => !kept.has(id));
  for (const id of surplus) {
    checkpoint('prune');
    await rm(layout.release(id), { recursive: true, force: true });
  }
  return surplus;
}

/** Removes the output of deploys that nobody remembers: those that fail leave some, too. */
export function pruneLogs(layout: Layout): void {
  const ids = [...listReleases(layout), ...readHistory(layout).map(({ id }) => id)];
  const known = new Set(ids.map((id) => `${id}.log`));
  const logs = dirname(layout.log(''));
  try {
    for (const name of readdirSync(logs)) if (!known.has(name)) rmSync(join(logs, name), { force: true });
  } catch {
    // There is none, or it is another time's work.
  }
}

/** The release to go back to: what is asked for, else the last one that was proven before the current one. */
export function rollbackTarget(
  layout: Layout,
  asked: string | undefined,
): { readonly id: string } | { readonly problem: string } {
  const current = readCurrent(layout);
  const there = listReleases(layout);
  if (asked !== undefined) {
    if (asked === current) return { problem: `${asked} is the current release already` };
    if (there.includes(asked)) return { id: asked };
    return { problem: `there is no release ${asked}: there are ${there.join(', ') || 'none'}` };
  }
  const history = readHistory(layout);
  const since = history.findIndex(({ id, verdict }) => id === current && verdict === 'done');
  const previous = history[since]?.previous ?? null;
  const proven = history
    .slice(Math.max(0, since))
    .find(({ id, verdict }) => verdict === 'done' && id !== current && there.includes(id));
  const id = previous !== null && previous !== current && there.includes(previous) ? previous : proven?.id;
  return id === undefined ? { problem: 'there is no release that served before the current one' } : { id };
}
