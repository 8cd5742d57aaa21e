import { bySysctl } from '../changes.js';
import type { Facts } from '../facts.js';
import { type Check, type Outcome, ok, unknown, warning } from '../finding.js';

/** Settings of the kernel's network stack: tcp(7), and ip-sysctl of the kernel's documentation. */
export const kernelChecks: readonly Check[] = [somaxconn, synBacklog, migration];

/** What workers listen with, where the app does not say: Node's, and rom-agent's own on sockets that systemd holds. */
const backlogs = { node: 511, passed: 4096 } as const;

/** A limit above every backlog. */
function somaxconn({ sysctl, platform }: Facts): readonly Outcome[] {
  if (platform !== 'linux') return [];
  const name = 'net.core.somaxconn';
  const limit = Number(sysctl(name) ?? Number.NaN);
  if (Number.isNaN(limit)) return [unknown(name, 'cannot be read')];
  if (limit >= backlogs.passed) return [ok(name, `${limit}`)];
  const least = limit < backlogs.node ? `, below even Node's backlog of ${backlogs.node}` : '';
  const found = `${limit}${least}: a burst of more connections than that, while workers are busy, is dropped and comes late`;
  return [warning(name, found, bySysctl(name, backlogs.passed))];
}

/** Counts only without SYN cookies: with them a full queue costs TCP options, not connections. */
function synBacklog({ sysctl, platform }: Facts): readonly Outcome[] {
  if (platform !== 'linux') return [];
  const name = 'net.ipv4.tcp_max_syn_backlog';
  const limit = Number(sysctl(name) ?? Number.NaN);
  const cookies = sysctl('net.ipv4.tcp_syncookies');
  if (Number.isNaN(limit) || cookies === null) return [];
  const wanted = Math.min(Number(sysctl('net.core.somaxconn') ?? backlogs.passed), backlogs.passed);
  if (cookies !== '0' || limit >= wanted)
    return [ok(name, `${limit}${cookies === '0' ? '' : ', with SYN cookies'}`)];
  const found = `${limit}, without SYN cookies and below the ${wanted} that may wait: handshakes are dropped in a burst`;
  return [warning(name, found, bySysctl('net.ipv4.tcp_syncookies', 1))];
}

function migration({ sysctl, platform, settings: { config } }: Facts): readonly Outcome[] {
  if (platform !== 'linux' || config.dispatch !== 'reuseport') return [];
  const name = 'net.ipv4.tcp_migrate_req';
  const value = sysctl(name);
  if (value === '1') return [ok(name, '1: what waits for a worker that ends goes to another')];
  const lost = 'dispatch reuseport loses the connections that wait for a worker which ends';
  if (value === null)
    return [warning(name, `this kernel has none (Linux 5.14 has): ${lost}`, 'dispatch = "shared"')];
  return [warning(name, `${value}: ${lost}`, `${bySysctl(name, 1)}; or dispatch = "shared"`)];
}
