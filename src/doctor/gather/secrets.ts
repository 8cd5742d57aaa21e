import { parseEnv } from 'node:util';
import { attempt } from '../../config/cgroup.js';
import type { SecretFile } from '../facts.js';
import type { DoctorSeam } from '../seam.js';

/** Files with variables or settings in them. Their values are read to see the names, and go nowhere. */
export function secretFiles(seam: DoctorSeam, paths: readonly string[]): readonly SecretFile[] {
  return paths.flatMap((path) => {
    const stats = seam.stat(path);
    if (stats === null || stats.isDirectory) return [];
    return [{ path, stats, names: secretsIn(attempt(seam.readFile, path) ?? '') }];
  });
}

const secret = /pass|secret|token|credential|private|api_?key|access_?key|_key$|dsn$|database_url|auth/i;

/** A URL with a password in it is one, whatever it is called. */
function secretsIn(text: string): readonly string[] {
  return Object.entries(parseEnv(text))
    .filter(([name, value]) => secret.test(name) || /^\w+:\/\/[^/@\s]*:[^/@\s]+@/.test(value ?? ''))
    .map(([name]) => name);
}
