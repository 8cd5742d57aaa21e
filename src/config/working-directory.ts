import { dirname, sep } from 'node:path';
import { packageFolder } from './packages.js';
import type { ReadFile } from './sources.js';

/** Where the workers run. */
export interface WorkingDirectory {
  readonly path: string;
  /** Why there, in words. */
  readonly from: string;
}

export interface WorkingDirectoryInput {
  /** The setting, absolute; null where it is not set. */
  readonly configured: string | null;
  /** The app's file, absolute; null for the built-in app. */
  readonly app: string | null;
  /** Where rom-agent itself was started. */
  readonly cwd: string;
  readonly readFile: ReadFile;
  readonly realpath: (path: string) => string;
}

/**
 * An app finds its files where `node` in its folder would find them: the working directory is the folder of its package,
 * wherever a service manager has started the daemon. Who starts the daemon inside of that package stays where he is, as
 * with `node`.
 */
export function workingDirectoryOf(input: WorkingDirectoryInput): WorkingDirectory {
  const { configured, app, readFile } = input;
  const real = (path: string) => resolved(path, input.realpath);
  const cwd = real(input.cwd);
  if (configured !== null) return { path: real(configured), from: 'working_directory' };
  if (app === null) return { path: cwd, from: 'where rom-agent was started' };
  const folder = folderOf({ app, file: real(app), readFile, real });
  const around = packageFolder(cwd, readFile);
  if (around !== null && isWithin(folder, around))
    return { path: cwd, from: "where rom-agent was started, inside of the app's package" };
  const home = packageFolder(folder, readFile);
  if (home !== null) return { path: home, from: 'the nearest package.json above the app' };
  return { path: folder, from: "the app's folder: no package.json above it" };
}

/** Of a command that a package of the app brings, such as `next`, the folder with that node_modules. */
function folderOf({
  app,
  file,
  readFile,
  real,
}: {
  readonly app: string;
  readonly file: string;
  readonly readFile: ReadFile;
  readonly real: (path: string) => string;
}): string {
  const at = app.indexOf(`${sep}node_modules${sep}`);
  const owner = at > 0 ? real(app.slice(0, at)) : null;
  if (owner !== null && packageFolder(owner, readFile) === owner) return owner;
  return isFolder(file, readFile) ? file : dirname(file);
}

function isFolder(path: string, readFile: ReadFile): boolean {
  try {
    readFile(path);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EISDIR';
  }
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === sep ? sep : `${folder}${sep}`);
}

function resolved(path: string, realpath: (path: string) => string): string {
  try {
    return realpath(path);
  } catch {
    return path;
  }
}
