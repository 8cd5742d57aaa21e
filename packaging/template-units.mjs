/**
 * Writes systemd/rom-agent@.service and rom-agent@.socket, the templates of services that have a name, from the plain
 * units beside them, so that there is one source. The result is committed: an installation may come without this program.
 *
 * Usage: template-units.mjs [DIRECTORY]; without one, the project's systemd/.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const target = process.argv[2] ?? 'systemd';

const service = [
  [
    /^# rom-agent: .*\n/,
    '# A service of rom-agent that has a name: rom-agent@NAME.service. Written from rom-agent.service by\n# packaging/template-units.mjs. What each setting is for: docs/reference/systemd-units.md.\n',
  ],
  ['systemctl edit rom-agent`', 'systemctl edit rom-agent@NAME`'],
  [/^Description=.*$/m, 'Description=rom-agent, the Node.js web service %i'],
  [
    'Environment=HOME=%S/rom-agent\n',
    '# The configuration of this service alone: a file that is missing is an error.\nEnvironment=HOME=%S/rom-agent@%i ROM_AGENT_CONFIG=/etc/rom-agent/%i.toml\n',
  ],
  ['/etc/default/rom-agent\n', '/etc/default/rom-agent@%i\n'],
  ['WorkingDirectory=%S/rom-agent\n', 'WorkingDirectory=%S/rom-agent@%i\n'],
  ['SyslogIdentifier=rom-agent\n', 'SyslogIdentifier=rom-agent@%i\n'],
  [
    /^# A user made for the service, and its directories:.*$/m,
    '# A user made for the service, and its directories: /var/lib, /run and /var/log with /rom-agent@NAME, and /etc/rom-agent,\n# which all services share.',
  ],
  ['StateDirectory=rom-agent\n', 'StateDirectory=rom-agent@%i\n'],
  ['RuntimeDirectory=rom-agent\n', 'RuntimeDirectory=rom-agent@%i\n'],
  ['LogsDirectory=rom-agent\n', 'LogsDirectory=rom-agent@%i\n'],
];

const socket = [
  [
    /^# The port of rom-agent, .*\n/,
    '# The socket of a service that has a name, rom-agent@NAME.service. Written from rom-agent.socket by\n# packaging/template-units.mjs. It is held by systemd instead of the daemon: a restart or a crash then refuses nobody.\n',
  ],
  ['systemctl edit rom-agent.socket`', 'systemctl edit rom-agent@NAME.socket`'],
  [/^Description=.*$/m, 'Description=Sockets of rom-agent, the service %i'],
  [
    /^# The port that the daemon has by default.*\nListenStream=3000\n/m,
    '# No port suits every service: a drop-in names one (ListenStream= empties this, ListenStream=8080 is the port).\n# Without one, a proxy on this host reaches the service at a unix socket.\nListenStream=%t/rom-agent@%i.sock\n',
  ],
];

for (const [kind, changes] of [
  ['service', service],
  ['socket', socket],
]) {
  const text = readFileSync(join('systemd', `rom-agent.${kind}`), 'utf8');
  writeFileSync(join(target, `rom-agent@.${kind}`), changes.reduce(replace, text));
}

function replace(text, [what, by]) {
  const count = text.split(what).length - 1;
  if (count !== 1) throw new Error(`${what} is ${count} times in the unit, not once`);
  return text.replace(what, () => by);
}
