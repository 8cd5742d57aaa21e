import { dirname, join, sep } from 'node:path';
import type { ReadFile } from './sources.js';

/** What a package.json holds. */
export type Package = Readonly<Record<string, unknown>>;

/** Null where there is none, or where it is not JSON. */
export function readPackage(folder: string, readFile: ReadFile): Package | null {
  try {
    const parsed: unknown = JSON.parse(readFile(join(folder, 'package.json')));
    return isRecord(parsed) ? parsed : {};
  } catch {
    return null;
  }
}

/** The folder of the nearest package.json at or above `folder`; null where there is none. */
export function packageFolder(folder: string, readFile: ReadFile): string | null {
  return upwards(folder).find((each) => isPackage(readPackage(each, readFile))) ?? null;
}

/** A folder and those above it. */
export function upwards(folder: string): readonly string[] {
  const parent = dirname(folder);
  return parent === folder ? [folder] : [folder, ...upwards(parent)];
}

export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === sep ? sep : `${folder}${sep}`);
}

export function isRecord(value: unknown): value is Package {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A package.json with nothing but a "type" says how the files of a folder are read, and makes no package. */
function isPackage(found: Package | null): boolean {
  return found !== null && Object.keys(found).some((key) => key !== 'type');
}
