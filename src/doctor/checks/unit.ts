import { basename } from 'node:path';
import type { Facts } from '../facts.js';
import { type Check, inUnit, type Outcome, ofUnit, ok, problem, unknown, warning } from '../finding.js';
import { isInUse, portsOf, type ServiceUnit, type SocketUnit } from '../units.js';

/** Whether the unit is there, how it is, and what it starts. */
export const serviceChecks: readonly Check[] = [
  systemd,
  ofUnit(state),
  ofUnit(loaded),
  ofUnit(enabled),
  ofUnit(type),
  ofUnit(notifyAccess),
  ofUnit(execStart),
  ofUnit(execFiles),
  ofUnit(execReload),
];

/** Sockets that systemd holds: they are served whatever `port` says. */
export const socketChecks: readonly Check[] = [ofSocket(inUse), ofSocket(port), ofSocket(kinds)];

/** What no sandbox may take from Node. */
export const sandboxChecks: readonly Check[] = [ofUnit(memory), ofUnit(processes), ofUnit(paths)];

export function isHidden(path: string, unit: Pick<ServiceUnit, 'protectHome' | 'privateTmp'>): boolean {
  if (unit.privateTmp && /^\/(var\/)?tmp\//.test(path)) return true;
  return /^(yes|tmpfs)$/.test(unit.protectHome) && /^\/(home|root|run\/user)\//.test(path);
}

/** Debian 12's, on which the unit is tested. */
const oldest = 252;

function systemd({ systemd, platform }: Facts): readonly Outcome[] {
  if (platform !== 'linux') return [];
  if (systemd === null)
    return [unknown('systemd', 'not the init system of this machine: unit checks skipped')];
  const { version, name, unit } = systemd;
  const missing = `${name} is not installed, or systemd does not answer: unit checks skipped`;
  return [
    versionOf(version),
    ...(unit === null ? [unknown('unit', missing, 'sudo make install, or --unit')] : []),
  ];
}

function versionOf(version: number | null): Outcome {
  if (version === null) return unknown('systemd', 'systemctl does not report its version');
  if (version < oldest)
    return warning(
      'systemd',
      `${version}: the unit is tested with ${oldest} and later`,
      `systemd ${oldest} or later`,
    );
  const more = version < 254 ? '; 254 adds RestartSteps=, growing delays between restarts' : '';
  return ok('systemd', `${version}${more}`);
}

function state(unit: ServiceUnit): Outcome {
  const { name, activeState, subState, result, exitStatus, statusText, restarts } = unit;
  const log = `journalctl -u ${name} -p warning -n 50`;
  const said = statusText === '' ? '' : `: ${statusText}`;
  if (activeState === 'failed')
    return problem(
      'state',
      `failed (${result}, exit status ${exitStatus})${said}`,
      `${log}; docs/reference/exit-codes.md`,
    );
  if (subState === 'auto-restart') return problem('state', `${endsAndStarts(unit)}${said}`, log);
  if (restarts > 0)
    return warning(
      'state',
      `${activeState}, after ${restarts} restarts by systemd${said}`,
      `${log}: shows why it ended`,
    );
  return ok('state', `${activeState}${said}`);
}

/** Those of systemd itself, before the daemon's first line: systemd.exec(5), process exit codes. */
const beforeStart: Readonly<Record<number, string>> = {
  200: 'CHDIR: WorkingDirectory= cannot be entered',
  203: 'EXEC: node cannot be executed',
  216: 'GROUP: Group= or SupplementaryGroups= names a group that does not exist',
  217: 'USER: User= names a user that does not exist',
  226: 'NAMESPACE: a path of the sandbox does not exist, often one in ReadWritePaths=',
  238: 'STATE_DIRECTORY: the directory cannot be created',
  243: 'CREDENTIALS: a file in LoadCredential= cannot be read',
};

function endsAndStarts({ exitStatus, restarts }: ServiceUnit): string {
  const reason = beforeStart[exitStatus];
  const again = restarts === 0 ? 'systemd is about to restart it' : `systemd restarted it ${restarts} times`;
  if (reason === undefined) return `it ends with exit status ${exitStatus}; ${again}`;
  return `systemd cannot start it: exit status ${exitStatus}, ${reason}; ${again}`;
}

function loaded({ name, outdated, dropIns }: ServiceUnit): Outcome {
  const changed = dropIns.length === 0 ? 'as installed' : `with ${dropIns.join(', ')}`;
  if (!outdated) return ok('loaded', changed);
  const change = `sudo systemctl daemon-reload && sudo systemctl restart ${name}`;
  return warning('loaded', 'its files changed after systemd loaded them', change);
}

function enabled({ name, unitFileState }: ServiceUnit, { systemd }: Facts): Outcome {
  const socket = systemd?.socket ?? null;
  if (unitFileState.startsWith('enabled')) return ok('at boot', 'started');
  if (socket !== null && isInUse(socket)) return ok('at boot', `${socket.name} starts it`);
  if (unitFileState !== 'disabled')
    return ok('at boot', `${unitFileState || 'generated'}: other units start it`);
  return warning('at boot', 'not started', `sudo systemctl enable ${name}`);
}

function type({ name, type }: ServiceUnit): Outcome {
  if (type === 'notify') return ok('Type', 'notify: active once all workers listen');
  const change = inUnit(name, 'Type=notify');
  if (type === 'notify-reload')
    return warning('Type', 'notify-reload: systemctl reload cannot report a refused release', change);
  return problem(
    'Type',
    `${type}: systemd does not wait until the workers listen, and ignores watchdog pings`,
    change,
  );
}

function notifyAccess({ name, notifyAccess }: ServiceUnit): Outcome {
  if (notifyAccess === 'main') return ok('NotifyAccess', 'main: only the master may notify systemd');
  const change = inUnit(name, 'NotifyAccess=main');
  if (notifyAccess === 'none') return problem('NotifyAccess', 'none: systemd ignores READY=1', change);
  return warning('NotifyAccess', `${notifyAccess}: the app may send notifications for the service`, change);
}

const packageManagers: ReadonlySet<string> = new Set(['npm', 'npx', 'yarn', 'pnpm']);
const shells: ReadonlySet<string> = new Set(['sh', 'bash', 'dash', 'zsh']);

/** What stands between systemd and node has the signals, the PID and so the notifications. */
function execStart({ name, execStart }: ServiceUnit): Outcome {
  const line = execStart[0]?.join(' ') ?? '';
  const names = (execStart[0] ?? []).slice(0, 2).map((word) => basename(word));
  const change = inUnit(name, [
    'ExecStart=',
    'ExecStart=/path/of/node /path/of/rom-agent/dist/cli/main.js serve',
  ]);
  if (line === '') return problem('ExecStart', 'missing', change);
  const between = names.find((word) => packageManagers.has(word.replace(/(-cli)?\.c?js$/, '')));
  if (between !== undefined)
    return problem('ExecStart', `${between} does not pass SIGTERM on: ${line}`, change);
  if (shells.has(names[0] ?? '') && !/\bexec\b/.test(line))
    return problem(
      'ExecStart',
      `a shell stays between systemd and node, and SIGTERM ends only the shell: ${line}`,
      change,
    );
  return ok('ExecStart', line);
}

function execFiles({ name, protectHome, privateTmp, execStart }: ServiceUnit, facts: Facts): Outcome | null {
  const missing = facts.systemd?.missing ?? [];
  if (missing.length > 0)
    return problem(
      'ExecStart',
      `${missing.join(' and ')} does not exist`,
      `sudo make install, or correct ${name}`,
    );
  const hidden = (execStart[0] ?? []).slice(0, 2).find((word) => isHidden(word, { protectHome, privateTmp }));
  if (hidden === undefined) return null;
  return problem(
    'ExecStart',
    `${hidden} is not visible to the service (ProtectHome=, PrivateTmp=)`,
    'move it to /usr/local',
  );
}

function execReload({ name, execReload, execStart }: ServiceUnit): Outcome {
  const line = execReload.map((argv) => argv.join(' ')).join('; ');
  if (/ reload\b/.test(line)) return ok('ExecReload', line);
  const [node = 'node', script = 'main.js'] = execStart[0] ?? [];
  const change = inUnit(name, ['ExecReload=', `ExecReload=${node} ${script} reload`]);
  if (line === '') return warning('ExecReload', 'missing: systemctl reload fails', change);
  return warning('ExecReload', `${line}: systemctl reload does not learn the verdict`, change);
}

function ofSocket(judge: (socket: SocketUnit, facts: Facts) => Outcome | null): Check {
  return (facts) => {
    const socket = facts.systemd?.socket ?? null;
    const outcome = socket === null ? null : judge(socket, facts);
    return outcome === null ? [] : [outcome];
  };
}

function inUse(socket: SocketUnit, { systemd, settings: { config } }: Facts): Outcome {
  const { name, activeState, unitFileState, listens, outdated } = socket;
  if (isInUse(socket) && config.kind === 'process')
    return problem(
      'socket unit',
      `${name} passes sockets in, and kind is process: a start ends with 78`,
      `sudo systemctl disable --now ${name}`,
    );
  const where = listens.join(', ');
  if (!isInUse(socket)) return ok('socket unit', `not enabled: the daemon opens its port itself (${name})`);
  if (outdated)
    return warning(
      'socket unit',
      'its files changed after systemd loaded them',
      'sudo systemctl daemon-reload',
    );
  if (activeState === 'active') return ok('socket unit', `${unitFileState}, and listens on ${where}`);
  const service = systemd?.unit?.name ?? 'the service';
  const change = `sudo systemctl stop ${service} && sudo systemctl start ${name} ${service}`;
  if (activeState === 'failed') return problem('socket unit', `failed: nothing listens on ${where}`, change);
  return warning('socket unit', `enabled, but not listening until ${service} has been stopped`, change);
}

function port(socket: SocketUnit, { settings: { config } }: Facts): Outcome | null {
  if (!isInUse(socket)) return null;
  const { name, listens } = socket;
  const { host } = config;
  const isPath = host?.startsWith('/') === true;
  const wanted = isPath ? host : `port ${config.port}`;
  const has = isPath ? listens.includes(host) : portsOf(socket).includes(config.port);
  if (has) return ok('port', `${wanted} is among its sockets`);
  const line = isPath ? host : String(config.port);
  const found = `it listens on ${listens.join(', ')}, but ${wanted} is configured, which has no effect with a socket unit`;
  return warning('port', found, inUnit(name, ['ListenStream=', `ListenStream=${line}`], 'Socket'));
}

function kinds(socket: SocketUnit): Outcome | null {
  if (!isInUse(socket)) return null;
  const { name, unserved, accept } = socket;
  const change = inUnit(name, accept ? 'Accept=no' : 'ListenStream= instead of the others', 'Socket');
  if (accept)
    return problem('Accept', 'yes: systemd starts a daemon for each connection, which exits 78', change);
  if (unserved.length === 0) return null;
  return problem('sockets', `${unserved.join(', ')} cannot be served: the daemon exits 78`, change);
}

function memory({ name, memoryDenyWriteExecute }: ServiceUnit): Outcome {
  if (!memoryDenyWriteExecute) return ok('MemoryDenyWriteExecute', 'no, as V8 needs it');
  const found = 'yes: V8 needs memory that is writable and executable, and aborts';
  return problem('MemoryDenyWriteExecute', found, inUnit(name, 'MemoryDenyWriteExecute=no'));
}

function processes({ name, procSubset }: ServiceUnit): Outcome | null {
  if (procSubset !== 'pid') return ok('ProcSubset', procSubset || 'all');
  const found = 'pid: hides CPUs, memory and kernel settings in /proc; os.cpus() is empty in the app';
  return warning('ProcSubset', found, inUnit(name, 'ProcSubset=all'));
}

/** systemd builds the sandbox before it starts anything; without one of these it gives up with 226. */
function paths({ name }: ServiceUnit, { systemd }: Facts): Outcome | null {
  const missing = systemd?.missingPaths ?? [];
  const [first] = missing;
  if (first === undefined) return null;
  const named = missing.map(({ directive, path }) => `${directive}=${path}`).join(', ');
  const change = `sudo install -d ${missing.map(({ path }) => path).join(' ')}; or ${inUnit(name, `${first.directive}=-${first.path}`)}`;
  return problem('paths', `${named} does not exist: a start ends with 226 (NAMESPACE)`, change);
}
