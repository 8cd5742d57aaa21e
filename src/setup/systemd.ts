import { type Key, settingOf, variablesOf } from '../settings/settings.js';
import { environmentText, signed, tomlOf, unitPath } from './files.js';
import { namesOf, plainName, type ServiceNames, unitDirectory } from './names.js';
import type { PlannedFile, ServicePlan, ServiceRequest, SetupFacts } from './plan.js';

export const templateUnit = `${plainName}@.service`;
export const templateSocket = `${plainName}@.socket`;

/** A service of the template `rom-agent@.service`, with a drop-in for what the app needs. */
export function planSystemd(request: ServiceRequest, facts: SetupFacts): ServicePlan {
  const names = namesOf(request.name, 'linux');
  const { socket } = request;
  const units = [...(socket ? [names.socketUnit] : []), names.unit];
  const lines = serviceLines(request, facts);
  const listen = listenOf(request, facts);
  const files: readonly (PlannedFile | null)[] = [
    facts.templates.service === null ? template(templateUnit, fill(facts.shipped.service, facts)) : null,
    socket && facts.templates.socket === null ? template(templateSocket, facts.shipped.socket) : null,
    file(names.config, tomlOf(request.settings, request.name)),
    Object.keys(request.environment).length === 0
      ? null
      : file(names.environment, environmentText(request.environment), 0o600),
    lines.length === 0 ? null : file(names.dropIn, `[Service]\n${lines.join('\n')}\n`),
    socket ? file(names.socketDropIn, `[Socket]\nListenStream=\nListenStream=${listen}\n`) : null,
  ];
  return {
    files: files.filter((each) => each !== null),
    commands: [
      ['systemctl', 'daemon-reload'],
      ['systemctl', 'enable', '--now', ...units],
    ],
    notes: notesOf(request, facts, names),
  };
}

/** What a setting will be: variables of the service win over its configuration file. undefined: the default. */
export function settingIn(
  { settings, environment }: Pick<ServiceRequest, 'settings' | 'environment'>,
  { envFileVariables }: Pick<SetupFacts, 'envFileVariables'>,
  key: Key,
): unknown {
  const variables = { ...environment, ...envFileVariables };
  const given = variablesOf(key).map((name) => variables[name]);
  return given.find((value) => value !== undefined && value !== '') ?? settings[key];
}

/** A file for each of whose lines root alone answers. */
function file(path: string, text: string, mode = 0o644): PlannedFile {
  return { path, content: signed(text), mode };
}

function template(name: string, text: string): PlannedFile {
  return file(`${unitDirectory}/${name}`, text);
}

function fill(text: string, { node, libdir }: SetupFacts): string {
  return text.replaceAll('@NODE@', node).replaceAll('@LIBDIR@', libdir);
}

function serviceLines(request: ServiceRequest, facts: SetupFacts): readonly string[] {
  const { user, group, envFile } = request;
  const { hiddenFolder, writes } = facts;
  return [
    ...(user === null ? [] : ['DynamicUser=no', `User=${user}`]),
    ...(group === null ? [] : [`Group=${group}`]),
    // systemd reads it as root, and outside of the sandbox.
    ...(envFile === null ? [] : [`EnvironmentFile=${envFile.replaceAll('%', '%%')}`]),
    // Of all homes the service sees this folder, and nothing else.
    ...(hiddenFolder === null ? [] : ['ProtectHome=tmpfs', `BindReadOnlyPaths=${unitPath(hiddenFolder)}`]),
    ...writes.map((path) => `ReadWritePaths=${unitPath(path)}`),
    ...(needsCapability(request, facts) ? capability : []),
  ];
}

/** All three are needed: capabilities(7), and PrivateUsers= in systemd.exec(5). */
const capability = [
  'AmbientCapabilities=CAP_NET_BIND_SERVICE',
  'CapabilityBoundingSet=CAP_NET_BIND_SERVICE',
  'PrivateUsers=no',
];

function needsCapability(request: ServiceRequest, facts: SetupFacts): boolean {
  const port = portOf(request, facts);
  return !request.socket && port > 0 && port < 1024 && hostOf(request, facts)?.startsWith('/') !== true;
}

export function portOf(request: ServiceRequest, facts: Pick<SetupFacts, 'envFileVariables'>): number {
  return Number(settingIn(request, facts, 'port') ?? settingOf('port').default);
}

export function hostOf(request: ServiceRequest, facts: Pick<SetupFacts, 'envFileVariables'>): string | null {
  const host = settingIn(request, facts, 'host');
  return typeof host === 'string' ? host : null;
}

/** As ListenStream= takes it: systemd.socket(5). A name cannot stand there. */
function listenOf(request: ServiceRequest, facts: SetupFacts): string {
  const [port, host] = [portOf(request, facts), hostOf(request, facts)];
  if (host === null) return String(port);
  if (host.startsWith('/')) return host.replaceAll('%', '%%');
  const address = host === 'localhost' ? '127.0.0.1' : host;
  return `${address.includes(':') ? `[${address}]` : address}:${port}`;
}

function notesOf(request: ServiceRequest, facts: SetupFacts, names: ServiceNames): readonly string[] {
  const { user } = request;
  const { hiddenFolder } = facts;
  return [
    ...(user === null
      ? [
          `The service runs as an account that systemd makes for it; it may write to ${names.state} ($STATE_DIRECTORY) and ${names.logs} only.`,
        ]
      : []),
    ...(hiddenFolder === null
      ? []
      : [
          `Of the homes the service sees ${hiddenFolder} alone, as it is when it starts: a link that later leads to another release is not followed. /srv and /opt have no such limit.`,
        ]),
  ];
}
