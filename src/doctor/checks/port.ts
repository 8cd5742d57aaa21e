import { bySysctl, inUnit } from '../changes.js';
import type { Facts } from '../facts.js';
import { type Check, type Outcome, ok, problem, unknown, warning } from '../finding.js';
import { isInUse } from '../socket-unit.js';

/** Whether the daemon can listen where it is to. */
export const portChecks: readonly Check[] = [daemon, firstProcess, listen, privileged, ephemeral];

const sudo = 'sudo rom-agent doctor';

function daemon({ daemon }: Facts): readonly Outcome[] {
  switch (daemon.state) {
    case 'none':
      return [ok('daemon', 'none runs behind this control socket')];
    case 'unknown':
      return [unknown('daemon', daemon.why)];
    case 'runs': {
      const { pid, version, node } = daemon;
      return [ok('daemon', `pid ${pid}, rom-agent ${version}, Node ${node.replace(/^v/, '')}`)];
    }
  }
}

/** As in a container: no process above it reaps what the app leaves behind. */
function firstProcess({ daemon, node }: Facts): readonly Outcome[] {
  if (daemon.state !== 'runs' || daemon.pid !== 1 || node.canReap()) return [];
  const found = 'the daemon is process 1: children that outlive their parents stay as zombies';
  return [
    warning(
      'process 1',
      found,
      'start the container with an init (docker run --init), or Node 22.15 or later',
    ),
  ];
}

function listen({ port: found, daemon, settings: { config }, systemd }: Facts): readonly Outcome[] {
  const name = `port ${config.port}`;
  switch (found.state) {
    case 'free':
      return [ok(name, 'free')];
    case 'not looked at':
      return [ok('port', found.why)];
    case 'refused':
      return [refused(name, found.code, { host: config.host, isOurs: systemd?.unit == null })];
    case 'taken': {
      const { holder } = found;
      const who = holder === null ? 'a process that cannot be found' : `pid ${holder.pid} (${holder.name})`;
      if (daemon.state === 'runs' && (holder === null || daemon.pids.includes(holder.pid)))
        return [
          ok(
            name,
            holder === null ? 'in use, as is to be expected of the daemon' : `held by the daemon, ${who}`,
          ),
        ];
      if (daemon.state === 'unknown' && holder === null)
        return [unknown(name, 'in use, and who holds it cannot be found', sudo)];
      const change = `stop that one (sudo ss -ltnp 'sport = :${config.port}'), or choose another port`;
      return [problem(name, `held by ${who}: a start would end with 69`, change)];
    }
  }
}

function refused(
  name: string,
  code: string,
  { host, isOurs }: { host: string | null; isOurs: boolean },
): Outcome {
  switch (code) {
    case 'EACCES':
    case 'EPERM':
      if (!isOurs)
        return unknown(name, 'this user may not listen there, so whether it is free is not known', sudo);
      return problem(
        name,
        `no permission to listen (${code}): a start would end with 77`,
        unprivileged(name),
      );
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return problem('host', `${host} is no address of this machine (${code})`, 'correct host');
    default:
      return problem(name, `to listen there fails with ${code}`, null);
  }
}

function unprivileged(name: string): string {
  const port = name.replace('port ', '');
  return `${bySysctl('net.ipv4.ip_unprivileged_port_start', port)}; or a port from 1024 on`;
}

/** What this process may says nothing about the service's user. */
function privileged({ systemd, settings: { config }, sysctl, account }: Facts): readonly Outcome[] {
  const unit = systemd?.unit ?? null;
  const { port, host } = config;
  const first = Number(sysctl('net.ipv4.ip_unprivileged_port_start') ?? 1024);
  if (unit === null || port === 0 || port >= first || host?.startsWith('/')) return [];
  if (systemd?.socket != null && isInUse(systemd.socket)) return [];
  const isRoot = account.kind === 'known' && account.uid === 0;
  const has =
    isRoot || unit.ambientCapabilities.some((name) => name.toLowerCase() === 'cap_net_bind_service');
  if (has && !unit.privateUsers) return [ok('ports below 1024', `${unit.name} may open port ${port}`)];
  const right = 'CAP_NET_BIND_SERVICE';
  const lines = ['PrivateUsers=no', `CapabilityBoundingSet=${right}`, `AmbientCapabilities=${right}`];
  const why = has ? 'PrivateUsers=yes makes that right one of its own user namespace' : `without ${right}`;
  // After 77 systemd tries nothing again: a drop-in alone changes nothing that is seen.
  const change = `${inUnit(unit.name, lines)}, then sudo systemctl restart ${unit.name}; or ${bySysctl('net.ipv4.ip_unprivileged_port_start', port)}`;
  return [problem('ports below 1024', `${unit.name} may not open port ${port}: ${why}; it exits 77`, change)];
}

/** Any connection from this machine may get such a port for its own end while the service is down. */
function ephemeral({ settings: { config }, sysctl, port: found }: Facts): readonly Outcome[] {
  const [low = 0, high = 0] = (sysctl('net.ipv4.ip_local_port_range') ?? '').split(/\s+/).map(Number);
  const { port } = config;
  if (found.state === 'not looked at' || port < low || port > high) return [];
  if (isReserved(port, sysctl('net.ipv4.ip_local_reserved_ports') ?? '')) return [];
  const why = `${port} is one of those (${low} to ${high}) that outgoing connections get: one may hold it at a start`;
  const change = `net.ipv4.ip_local_reserved_ports = ${port} in /etc/sysctl.d/rom-agent.conf, then sudo sysctl --system`;
  return [warning('port range', why, change)];
}

/** `8080,9000-9010` */
function isReserved(port: number, list: string): boolean {
  return list.split(',').some((range) => {
    const [first = Number.NaN, last = first] = range.split('-').map(Number);
    return range !== '' && port >= first && port <= last;
  });
}
