import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot } from '../../support/process.js';

/** The unit that `make install` installs, with the paths put in: by default node and sources of this test run. */
export function unitText({ node = process.execPath, libdir = repoRoot } = {}): string {
  const text = readFileSync(join(repoRoot, 'systemd', 'rom-agent.service'), 'utf8');
  return text.replaceAll('@NODE@', node).replaceAll('@LIBDIR@', libdir);
}

/** A service that needs nothing but its socket: docs/how-to/systemd.md. */
export const withoutNetwork = [
  'PrivateNetwork=yes',
  'IPAddressDeny=any',
  'RestrictAddressFamilies=',
  'RestrictAddressFamilies=AF_UNIX',
];

export function socketText(): string {
  return readFileSync(join(repoRoot, 'systemd', 'rom-agent.socket'), 'utf8');
}
