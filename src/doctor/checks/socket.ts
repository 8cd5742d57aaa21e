import { inUnit } from '../changes.js';
import type { Facts } from '../facts.js';
import { type Check, type Outcome, ok, problem, warning } from '../finding.js';
import { isInUse, portsOf, type SocketUnit } from '../socket-unit.js';

/** Sockets that systemd holds: they are served whatever `port` says. */
export const socketChecks: readonly Check[] = [ofSocket(inUse), ofSocket(port), ofSocket(kinds)];

function ofSocket(judge: (socket: SocketUnit, facts: Facts) => Outcome | null): Check {
  return (facts) => {
    const socket = facts.systemd?.socket ?? null;
    const outcome = socket === null ? null : judge(socket, facts);
    return outcome === null ? [] : [outcome];
  };
}

function inUse(socket: SocketUnit, { systemd }: Facts): Outcome {
  const { name, activeState, unitFileState, listens, outdated } = socket;
  const where = listens.join(', ');
  if (!isInUse(socket)) return ok('socket unit', `not enabled: the daemon opens its port itself (${name})`);
  if (outdated)
    return warning(
      'socket unit',
      'its files have been changed since systemd has read them',
      'sudo systemctl daemon-reload',
    );
  if (activeState === 'active') return ok('socket unit', `${unitFileState}, and listens on ${where}`);
  const service = systemd?.unit?.name ?? 'the service';
  const change = `sudo systemctl stop ${service} && sudo systemctl start ${name} ${service}`;
  if (activeState === 'failed') return problem('socket unit', `failed: nobody listens on ${where}`, change);
  return warning(
    'socket unit',
    `enabled, but it does not listen: not before ${service} has been stopped`,
    change,
  );
}

function port(socket: SocketUnit, { settings: { config } }: Facts): Outcome | null {
  if (!isInUse(socket)) return null;
  const { name, listens } = socket;
  const { host } = config;
  const isPath = host?.startsWith('/') === true;
  const wanted = isPath ? host : `port ${config.port}`;
  const has = isPath ? listens.includes(host) : portsOf(socket).includes(config.port);
  if (has) return ok('port', `${wanted} is one of its sockets`);
  const line = isPath ? host : String(config.port);
  const found = `it listens on ${listens.join(', ')}, and ${wanted} is configured: that opens nothing here`;
  return warning('port', found, inUnit(name, ['ListenStream=', `ListenStream=${line}`], 'Socket'));
}

function kinds(socket: SocketUnit): Outcome | null {
  if (!isInUse(socket)) return null;
  const { name, unserved, accept } = socket;
  const change = inUnit(name, accept ? 'Accept=no' : 'ListenStream= instead of the others', 'Socket');
  if (accept) return problem('Accept', 'yes: a daemon for each connection, which exits 78', change);
  if (unserved.length === 0) return null;
  return problem('sockets', `${unserved.join(', ')} cannot be served: the daemon exits 78`, change);
}
