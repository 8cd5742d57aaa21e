import { readFileSync } from 'node:fs';

/** The files of this machine, for what takes them by a seam. */
export const systemFiles = {
  readFile: (path: string): string => readFileSync(path, 'utf8'),
  platform: process.platform,
} as const;
