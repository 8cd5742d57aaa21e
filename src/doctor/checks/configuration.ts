import { isDeepStrictEqual } from 'node:util';
import { describeProblem } from '../../errors.js';
import { disclosed, type Key, keys, show } from '../../settings/settings.js';
import type { Facts } from '../facts.js';
import { bySysctl, type Check, inUnit, type Outcome, ok, problem, unknown, warning } from '../finding.js';
import { isInUse } from '../units.js';

export const configurationChecks: readonly Check[] = [settings, environmentFiles, app, jobs, inEffect];

/** Whether the daemon can listen where it is to. */
export const portChecks: readonly Check[] = [daemon, firstProcess, listen, privileged, ephemeral, keepAlive];

/** As `rom-agent check` reports them; what else is looked at has the defaults instead. */
function settings({ settings: { problems, file, asUnit, unreadable } }: Facts): readonly Outcome[] {
  const wrong = problems.map((found) =>
    problem('settings', describeProblem(found), `correct ${found.field}`),
  );
  if (wrong.length > 0) return wrong;
  const from = asUnit === null ? "this shell's flags, environment and .env" : `the environment of ${asUnit}`;
  const all = unreadable.length === 0 ? 'all' : 'those that could be read';
  return [ok('settings', `${all} are right: ${file ?? 'no file'}, ${from}`)];
}

function environmentFiles({ settings: { unreadable } }: Facts): readonly Outcome[] {
  return unreadable.map((path) =>
    unknown('settings', `${path} cannot be read: its settings are unknown here`, 'sudo rom-agent doctor'),
  );
}

function app({ settings: { config, effective }, places }: Facts): readonly Outcome[] {
  if (config.app === null) return [ok('app', 'the built-in app')];
  const isThere = places.find(({ what }) => what === 'app')?.steps[0]?.stats != null;
  const found = `${config.app} (from ${effective.app.from})`;
  const change =
    config.deploy.source === null
      ? 'correct app, or put the file there'
      : 'rom-agent deploy --init, which makes the first release, or correct app';
  return [isThere ? ok('app', found) : problem('app', `${found} does not exist or is not visible`, change)];
}

/** A module that is not there would be noticed when it is due, at night. */
function jobs({ places }: Facts): readonly Outcome[] {
  return places.flatMap(({ what, path, steps }) =>
    what.startsWith('jobs.') && steps[0]?.stats == null
      ? [problem(what, `${path} does not exist or is not visible`, 'correct it, or put the file there')]
      : [],
  );
}

/** What the daemon goes by, beside what it would after a restart. */
function inEffect({ daemon, settings: { effective, problems, asUnit } }: Facts): readonly Outcome[] {
  if (daemon.state !== 'runs' || problems.length > 0) return [];
  const here = disclosed(effective);
  const differing = keys.filter(
    (key) => key in daemon.settings && !isDeepStrictEqual(daemon.settings[key]?.value, here[key].value),
  );
  if (differing.length === 0) return [ok('in effect', `pid ${daemon.pid} uses the same settings`)];
  const each = differing.map((key: Key) => {
    const now = show(key, daemon.settings[key]?.value);
    return `${key} is ${now} in the daemon and ${show(key, effective[key].value)} here`;
  });
  const reload = asUnit === null ? 'rom-agent reload' : `sudo systemctl reload ${asUnit}`;
  const change = `${reload}, or a restart; if the daemon was started with flags, pass them to doctor too`;
  return [warning('in effect', `pid ${daemon.pid} uses other settings: ${each.join(', ')}`, change)];
}

const sudo = 'sudo rom-agent doctor';

function daemon({ daemon, settings: { asUnit } }: Facts): readonly Outcome[] {
  switch (daemon.state) {
    case 'other': {
      const found = `pid ${daemon.pid}, which is not of ${asUnit}, answers at ${daemon.path}: commands for the one reach the other`;
      const own = (asUnit ?? '').replace(/\.service$/, '');
      return [problem('daemon', found, inUnit(asUnit ?? '', `RuntimeDirectory=${own}`))];
    }
    case 'none':
      return [ok('daemon', 'no daemon answers at this control socket')];
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
  const found =
    'the daemon is process 1 and cannot reap: children that outlive their parents stay as zombies';
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
      const who = holder === null ? 'an unknown process' : `pid ${holder.pid} (${holder.name})`;
      if (daemon.state === 'runs' && (holder === null || daemon.pids.includes(holder.pid)))
        return [
          ok(name, holder === null ? 'in use, presumably by the daemon' : `held by the daemon, ${who}`),
        ];
      if (daemon.state === 'unknown' && holder === null)
        return [unknown(name, 'in use by an unknown process', sudo)];
      const change = `stop that process (sudo ss -ltnp 'sport = :${config.port}'), or choose another port`;
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
        return unknown(
          name,
          'this user may not listen there, so it is unknown whether the port is free',
          sudo,
        );
      return problem(
        name,
        `no permission to listen (${code}): a start would end with 77`,
        unprivileged(name),
      );
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return problem('host', `${host} is not an address of this machine (${code})`, 'correct host');
    default:
      return problem(name, `listening there fails with ${code}`, null);
  }
}

function unprivileged(name: string): string {
  const port = name.replace('port ', '');
  return `${bySysctl('net.ipv4.ip_unprivileged_port_start', port)}; or a port from 1024 on`;
}

/** What this process may says nothing about the service's user. */
function privileged({ systemd, settings: { config }, sysctl, account }: Facts): readonly Outcome[] {
  const unit = systemd?.unit ?? null;
  const { kind, port, host } = config;
  const first = Number(sysctl('net.ipv4.ip_unprivileged_port_start') ?? 1024);
  if (unit === null || kind === 'process' || port === 0 || port >= first || host?.startsWith('/')) return [];
  if (systemd?.socket != null && isInUse(systemd.socket)) return [];
  const isRoot = account.kind === 'known' && account.uid === 0;
  const has =
    isRoot || unit.ambientCapabilities.some((name) => name.toLowerCase() === 'cap_net_bind_service');
  if (has && !unit.privateUsers) return [ok('ports below 1024', `${unit.name} may open port ${port}`)];
  const right = 'CAP_NET_BIND_SERVICE';
  const lines = ['PrivateUsers=no', `CapabilityBoundingSet=${right}`, `AmbientCapabilities=${right}`];
  const why = has ? 'PrivateUsers=yes limits that capability to its own user namespace' : `without ${right}`;
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
  const why = `${port} is an ephemeral port (${low} to ${high}): an outgoing connection may hold it when the service starts`;
  const change = `net.ipv4.ip_local_reserved_ports = ${port} in /etc/sysctl.d/rom-agent.conf, then sudo sysctl --system`;
  return [warning('port range', why, change)];
}

/** So long the most common balancers keep an idle connection at least: nginx and AWS's ALB by default, s. */
const balancersKeep = 60;

/** Whoever closes an idle connection first must not be the server: what is sent meanwhile is lost. */
function keepAlive({ daemon }: Facts): readonly Outcome[] {
  if (daemon.state !== 'runs' || daemon.keepAliveTimeoutMs === null) return [];
  const seconds = daemon.keepAliveTimeoutMs / 1_000;
  const name = 'keep-alive';
  if (seconds > balancersKeep) return [ok(name, `idle connections are kept for ${seconds} s`)];
  const found =
    `idle connections are kept for ${seconds} s${seconds === 5 ? ", Node's default" : ''}; what balancer is in front is unknown here. ` +
    'One that keeps them for longer (nginx and AWS ALB 60 s, Google 600 s) now and then sends a request on a connection that the app just closes, and answers 502';
  const change =
    'keep_alive_timeout = "75s" (behind Google "620s"); or the idle time of the balancer below that of the app';
  return [unknown(name, found, change)];
}

/** `8080,9000-9010` */
function isReserved(port: number, list: string): boolean {
  return list.split(',').some((range) => {
    const [first = Number.NaN, last = first] = range.split('-').map(Number);
    return range !== '' && port >= first && port <= last;
  });
}
