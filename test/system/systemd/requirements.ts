import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Options for `test()`: skipped with the reason where no machine can boot; in CI it runs and fails instead. */
export function needsMachine(): { skip: string | false } {
  return needs(whyNoMachine());
}

/** The same for tests in a machine of a clean Debian, which debootstrap makes the first time. */
export function needsTree(): { skip: string | false } {
  return needs(whyNoMachine() ?? missing(['debootstrap']));
}

/** The same for tests that only want these programs. */
export function needsPrograms(...programs: string[]): { skip: string | false } {
  return needs(missing(programs));
}

/** null where a systemd can be booted. */
export function whyNoMachine(): string | null {
  if (process.platform !== 'linux') return 'a systemd boots on Linux only';
  if (process.getuid?.() !== 0) return 'booting a systemd needs root';
  return missing(['systemd-nspawn', 'nsenter', 'unshare', 'setpriv', 'mount']);
}

function needs(reason: string | null): { skip: string | false } {
  return { skip: reason === null || process.env.CI === 'true' ? false : reason };
}

function missing(programs: readonly string[]): string | null {
  const absent = programs.filter((program) => !inPath(program));
  return absent.length === 0 ? null : `${absent.join(', ')} not installed`;
}

function inPath(program: string): boolean {
  const folders = `${process.env.PATH ?? ''}${delimiter}/usr/sbin${delimiter}/sbin`.split(delimiter);
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
