import { dirname, join } from 'node:path';
import type { ReadFile } from './sources.js';

/** The folder of the nearest package.json at or above `folder`; null where there is none. */
export function packageFolder(folder: string, readFile: ReadFile): string | null {
  return upwards(folder).find((each) => isPackage(readPackage(each, readFile))) ?? null;
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

type Package = Readonly<Record<string, unknown>>;

function upwards(folder: string): readonly string[] {
  const parent = dirname(folder);
  return parent === folder ? [folder] : [folder, ...upwards(parent)];
}

function readPackage(folder: string, readFile: ReadFile): Package | null {
  try {
    const parsed: unknown = JSON.parse(readFile(join(folder, 'package.json')));
    return isRecord(parsed) ? parsed : {};
  } catch {
    return null;
  }
}

/** A package.json with nothing but a "type" says how the files of a folder are read, and makes no package. */
function isPackage(found: Package | null): boolean {
  return found !== null && Object.keys(found).some((key) => key !== 'type');
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

function isRecord(value: unknown): value is Package {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
