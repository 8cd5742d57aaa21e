import { ownershipOf } from './files.js';
import { namesOf, type ServicePlatform } from './names.js';
import type { PlannedFile, ServicePlan } from './plan.js';
import { type HostSeam, textOf } from './world.js';

/** What becomes of one file. */
export type Change =
  | { readonly kind: 'new'; readonly file: PlannedFile }
  | { readonly kind: 'same'; readonly file: PlannedFile }
  /** `keep`: what is there was not written by us, or was edited since, and is kept under this name. */
  | {
      readonly kind: 'changed';
      readonly file: PlannedFile;
      readonly before: string;
      readonly mode: number;
      readonly keep: string | null;
    }
  | {
      readonly kind: 'removed';
      readonly path: string;
      readonly before: string;
      readonly mode: number;
      readonly keep: string | null;
    };

/** What a plan changes on this host, files that an earlier plan for the service has left included. */
export function changesOf(
  { files }: ServicePlan,
  { name, seam }: { readonly name: string; readonly seam: HostSeam },
): readonly Change[] {
  const planned = files.map((file): Change => {
    const stats = seam.stat(file.path);
    const before = textOf(seam, file.path);
    if (stats === null || before === null) return { kind: 'new', file };
    const mode = stats.mode & 0o777;
    if (before === file.content && mode === file.mode) return { kind: 'same', file };
    return { kind: 'changed', file, before, mode, keep: keptAs(file.path, before) };
  });
  const left = writtenFor(name, seam.platform === 'darwin' ? 'darwin' : 'linux').flatMap((path): Change[] => {
    const before = textOf(seam, path);
    // What an administrator has put there himself is his.
    if (files.some((file) => file.path === path) || before === null || ownershipOf(before) === 'foreign')
      return [];
    const mode = (seam.stat(path)?.mode ?? 0o644) & 0o777;
    return [{ kind: 'removed', path, before, mode, keep: keptAs(path, before) }];
  });
  return [...planned, ...left];
}

export function pathOfChange(change: Change): string {
  return change.kind === 'removed' ? change.path : change.file.path;
}

export function isChange(change: Change): boolean {
  return change.kind !== 'same';
}

/** What `install` may have written for one service, templates aside. */
export function writtenFor(name: string, platform: ServicePlatform): readonly string[] {
  const names = namesOf(name, platform);
  return platform === 'darwin'
    ? [names.config, names.plist, names.newsyslog]
    : [names.config, names.environment, names.dropIn, names.socketDropIn];
}

/** systemd reads no drop-in of that name, and the daemon no configuration. */
function keptAs(path: string, text: string): string | null {
  return ownershipOf(text) === 'ours' ? null : `${path}.old`;
}

/** The lines that differ, with `-` and `+` in front, and a line around them; the longest common subsequence stays. */
export function diffOf(before: string, after: string): readonly string[] {
  const [a, b] = [before.split('\n'), after.split('\n')];
  const common = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
  const at = (i: number, j: number): number => common[i]?.[j] ?? 0;
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const row = common[i];
      if (row !== undefined)
        row[j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const lines: string[] = [];
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push(`  ${a[i]}`);
      i++;
      j++;
    } else if (i < a.length && (j === b.length || at(i + 1, j) >= at(i, j + 1))) lines.push(`- ${a[i++]}`);
    else lines.push(`+ ${b[j++]}`);
  }
  const isNear = (index: number) => lines.slice(Math.max(0, index - 1), index + 2).some(isDifferent);
  return lines.filter((_, index) => isNear(index));
}

function isDifferent(line: string): boolean {
  return !line.startsWith('  ');
}
