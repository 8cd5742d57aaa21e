import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot } from '../../support/process.js';

/** The shipped units; those with @ are the templates of services that have a name. */
export type ShippedService = 'rom-agent.service' | 'rom-agent@.service';
export type ShippedSocket = 'rom-agent.socket' | 'rom-agent@.socket';

interface UnitPaths {
  readonly unit?: ShippedService;
  readonly node?: string;
  readonly libdir?: string;
}

/** The unit that `make install` installs, with the paths put in: by default node and sources of this test run. */
export function unitText(paths: UnitPaths = {}): string {
  const { unit = 'rom-agent.service', node = process.execPath, libdir = repoRoot } = paths;
  const text = readFileSync(join(repoRoot, 'systemd', unit), 'utf8');
  return text.replaceAll('@NODE@', node).replaceAll('@LIBDIR@', libdir);
}

/** A service that needs nothing but its socket: docs/how-to/systemd.md. */
export const withoutNetwork = [
  'PrivateNetwork=yes',
  'IPAddressDeny=any',
  'RestrictAddressFamilies=',
  'RestrictAddressFamilies=AF_UNIX',
];

export function socketText(unit: ShippedSocket = 'rom-agent.socket'): string {
  return readFileSync(join(repoRoot, 'systemd', unit), 'utf8');
}
