import { dirname, join, sep } from 'node:path';
import { isRecord, isWithin, type Package, packageFolder, readPackage, upwards } from './package.js';
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
 * wherever a service manager started the daemon. A daemon that was started inside of that package stays in its current
 * directory, as `node` does.
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

/**
 * The JavaScript file of a command such as `next`, which a package of the app brings: found by the "bin" of the package
 * of that name, else of one that the app's package.json names, as what is in node_modules/.bin may be a shell script.
 */
export function commandFile(name: string, folder: string, readFile: ReadFile): string | null {
  for (const each of upwards(folder)) {
    for (const packageName of [name, ...dependenciesOf(readPackage(each, readFile))]) {
      const home = join(each, 'node_modules', packageName);
      const file = binOf(readPackage(home, readFile), { packageName, command: name });
      if (file !== null) return join(home, file);
    }
  }
  return null;
}

/** The app's folder. A command such as `next` belongs to the folder whose node_modules holds its package. */
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

function resolved(path: string, realpath: (path: string) => string): string {
  try {
    return realpath(path);
  } catch {
    return path;
  }
}

function dependenciesOf(found: Package | null): readonly string[] {
  const lists = [found?.dependencies, found?.devDependencies, found?.optionalDependencies];
  return lists.flatMap((list) => (isRecord(list) ? Object.keys(list) : []));
}

function binOf(
  found: Package | null,
  { packageName, command }: { readonly packageName: string; readonly command: string },
): string | null {
  const bin = found?.bin;
  if (typeof bin === 'string') return packageName.replace(/^@[^/]*\//, '') === command ? bin : null;
  const file = isRecord(bin) && Object.hasOwn(bin, command) ? bin[command] : null;
  return typeof file === 'string' ? file : null;
}
