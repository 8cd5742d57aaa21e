import { basename } from 'node:path';
import { inUnit } from '../changes.js';
import type { Facts } from '../facts.js';
import { type Check, type Outcome, ok, problem, unknown, warning } from '../finding.js';
import type { ServiceUnit } from '../service-unit.js';
import { isInUse } from '../socket-unit.js';
import { ofUnit } from './of-unit.js';

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

/** Debian 12's, on which the unit is tested. */
const oldest = 252;

function systemd({ systemd, platform }: Facts): readonly Outcome[] {
  if (platform !== 'linux') return [];
  if (systemd === null)
    return [unknown('systemd', 'it does not run this machine: nothing of it is looked at')];
  const { version, name, unit } = systemd;
  const missing = `${name} is not installed here, or systemd does not say: nothing of it is compared`;
  return [
    versionOf(version),
    ...(unit === null ? [unknown('unit', missing, 'sudo make install, or --unit')] : []),
  ];
}

function versionOf(version: number | null): Outcome {
  if (version === null) return unknown('systemd', 'systemctl does not say');
  if (version < oldest)
    return warning(
      'systemd',
      `${version}: the unit is tested from ${oldest} on`,
      `systemd ${oldest} or later`,
    );
  const more = version < 254 ? '; 254 has RestartSteps=, growing delays between restarts' : '';
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
      `${log}: why it ended`,
    );
  return ok('state', `${activeState}${said}`);
}

/** Those of systemd itself, before the daemon's first line: systemd.exec(5), process exit codes. */
const beforeStart: Readonly<Record<number, string>> = {
  200: 'CHDIR: WorkingDirectory= cannot be entered',
  203: 'EXEC: node cannot be executed',
  216: 'GROUP: Group= or SupplementaryGroups= names none',
  217: 'USER: User= names none',
  226: 'NAMESPACE: a path of the sandbox is not there, often one in ReadWritePaths=',
  238: 'STATE_DIRECTORY: it cannot be made',
  243: 'CREDENTIALS: what LoadCredential= names cannot be read',
};

function endsAndStarts({ exitStatus, restarts }: ServiceUnit): string {
  const reason = beforeStart[exitStatus];
  const again = restarts === 0 ? 'it is about to be started again' : `it was started again ${restarts} times`;
  if (reason === undefined) return `it ends with exit status ${exitStatus}; ${again}`;
  return `systemd cannot start it: exit status ${exitStatus}, ${reason}; ${again}`;
}

function loaded({ name, outdated, dropIns }: ServiceUnit): Outcome {
  const changed = dropIns.length === 0 ? 'as installed' : `with ${dropIns.join(', ')}`;
  if (!outdated) return ok('loaded', changed);
  const change = `sudo systemctl daemon-reload && sudo systemctl restart ${name}`;
  return warning('loaded', 'its files have been changed since systemd has read them', change);
}

function enabled({ name, unitFileState }: ServiceUnit, { systemd }: Facts): Outcome {
  const socket = systemd?.socket ?? null;
  if (unitFileState.startsWith('enabled')) return ok('at boot', 'it is started');
  if (socket !== null && isInUse(socket)) return ok('at boot', `${socket.name} starts it`);
  if (unitFileState !== 'disabled')
    return ok('at boot', `${unitFileState || 'generated'}: whoever wants it starts it`);
  return warning('at boot', 'it is not started', `sudo systemctl enable ${name}`);
}

function type({ name, type }: ServiceUnit): Outcome {
  if (type === 'notify') return ok('Type', 'notify: active once all workers listen');
  const change = inUnit(name, 'Type=notify');
  if (type === 'notify-reload')
    return warning('Type', 'notify-reload: systemctl reload cannot tell that a release was refused', change);
  return problem(
    'Type',
    `${type}: systemd does not wait until the workers listen, and hears no pings`,
    change,
  );
}

function notifyAccess({ name, notifyAccess }: ServiceUnit): Outcome {
  if (notifyAccess === 'main') return ok('NotifyAccess', 'main: the master alone is heard');
  const change = inUnit(name, 'NotifyAccess=main');
  if (notifyAccess === 'none') return problem('NotifyAccess', 'none: READY=1 is not heard', change);
  return warning('NotifyAccess', `${notifyAccess}: the app may speak for the service`, change);
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
  if (line === '') return problem('ExecStart', 'there is none', change);
  const between = names.find((word) => packageManagers.has(word.replace(/(-cli)?\.c?js$/, '')));
  if (between !== undefined)
    return problem('ExecStart', `${between} keeps SIGTERM to itself: ${line}`, change);
  if (shells.has(names[0] ?? '') && !/\bexec\b/.test(line))
    return problem('ExecStart', `a shell stays in between, and SIGTERM ends it alone: ${line}`, change);
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
    `${hidden} is out of the service's sight (ProtectHome=, PrivateTmp=)`,
    'move it to /usr/local',
  );
}

export function isHidden(path: string, unit: Pick<ServiceUnit, 'protectHome' | 'privateTmp'>): boolean {
  if (unit.privateTmp && /^\/(var\/)?tmp\//.test(path)) return true;
  return /^(yes|tmpfs)$/.test(unit.protectHome) && /^\/(home|root|run\/user)\//.test(path);
}

function execReload({ name, execReload, execStart }: ServiceUnit): Outcome {
  const line = execReload.map((argv) => argv.join(' ')).join('; ');
  if (/ reload\b/.test(line)) return ok('ExecReload', line);
  const [node = 'node', script = 'main.js'] = execStart[0] ?? [];
  const change = inUnit(name, ['ExecReload=', `ExecReload=${node} ${script} reload`]);
  if (line === '') return warning('ExecReload', 'there is none: systemctl reload fails', change);
  return warning('ExecReload', `${line}: systemctl reload does not learn what became of it`, change);
}
