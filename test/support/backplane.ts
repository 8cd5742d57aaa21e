import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/** PID of the backplane's process of this master; null: there is none at this moment. */
export function backplanePid(master: number): number | null {
  try {
    const found = execFileSync('pgrep', ['-P', String(master), '-f', 'backplane/main.js'], {
      encoding: 'utf8',
    });
    return Number(found.trim().split('\n')[0]);
  } catch {
    return null;
  }
}

/** The words after `kind` of each line in the file that the fixture writes. */
export function linesOf(path: string, kind: string): readonly string[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith(`${kind} `))
    .map((line) => line.slice(kind.length + 1));
}
