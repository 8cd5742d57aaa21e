import type { DoctorSeam } from '../doctor/facts.js';

/** What came of a program. */
export interface Ran {
  readonly ok: boolean;
  /** Standard output and standard error. */
  readonly output: string;
}

/** What is read of a host to plan services and to find them. */
export interface HostSeam
  extends Pick<
    DoctorSeam,
    | 'platform'
    | 'execPath'
    | 'nodeVersion'
    | 'uid'
    | 'readFile'
    | 'stat'
    | 'realpath'
    | 'run'
    | 'tryListen'
    | 'portHolder'
    | 'loadAddon'
    | 'ask'
  > {
  /** Absolute, by the way that led there. */
  readonly cwd: string;
  /** The folder of this program, with `dist` in it. */
  readonly libdir: string;
  /** The names in a folder; none where it is missing or may not be read. */
  readonly entries: (folder: string) => readonly string[];
}

/** What changes the host. */
export interface SetupSeam extends HostSeam {
  /** The whole file at once, or as it was. Makes the folders. */
  readonly write: (file: { path: string; content: string; mode: number }) => void;
  readonly rename: (from: string, to: string) => void;
  /** A file or a folder with all that is in it; nothing where it is missing. */
  readonly remove: (path: string) => void;
  /** A folder, if there is nothing in it. */
  readonly removeEmpty: (folder: string) => void;
  readonly execute: (argv: readonly string[]) => Promise<Ran>;
  /** ms */
  readonly monotonic: () => number;
  readonly sleep: (ms: number) => Promise<void>;
}

/** The text of a file; null where there is none, or where it may not be read. */
export function textOf({ readFile }: Pick<HostSeam, 'readFile'>, path: string): string | null {
  try {
    return readFile(path);
  } catch {
    return null;
  }
}
