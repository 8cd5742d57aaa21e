import { checkVariable, signed, tomlOf, xmlText } from './files.js';
import { namesOf } from './names.js';
import type { ServicePlan, ServiceRequest, SetupFacts } from './plan.js';

/** The web server's account of macOS. */
const usualAccount = '_www';

/** A LaunchDaemon of its own: launchd.plist(5) has neither templates nor drop-ins. */
export function planLaunchd(request: ServiceRequest, facts: SetupFacts): ServicePlan {
  const names = namesOf(request.name, 'darwin');
  const user = request.user ?? usualAccount;
  const group = request.group ?? user;
  const words = {
    ...{ NODE: facts.node, LIBDIR: facts.libdir, USER: user, GROUP: group },
    ...{ LOGDIR: names.logs, STATEDIR: names.state },
  };
  const variables = { ...request.environment, ...facts.envFileVariables, ROM_AGENT_CONFIG: names.config };
  const plist = withVariables(
    fill(facts.shipped.plist, words).replace(
      '<string>org.rom-agent</string>',
      `<string>${names.unit}</string>`,
    ),
    variables,
  );
  const log = `${names.logs}/rom-agent.log`;
  const owned = ['-o', user, '-g', group];
  // What is in the log stays there.
  const makeLog = 'test -e "$1" || install -m 640 -o "$2" -g "$3" /dev/null "$1"';
  return {
    files: [
      { path: names.config, content: signed(tomlOf(request.settings, request.name)), mode: 0o644 },
      // Its variables may be secrets.
      { path: names.plist, content: signed(plist, 'xml'), mode: 0o600 },
      { path: names.newsyslog, content: signed(fillText(facts.shipped.newsyslog, words)), mode: 0o644 },
    ],
    commands: [
      ['install', '-d', '-m', '750', ...owned, names.state],
      // newsyslog works there as root, so that the directory is root's.
      ['install', '-d', '-m', '750', '-o', 'root', '-g', group, names.logs],
      ['sh', '-c', makeLog, 'sh', log, user, group],
      ['launchctl', 'bootstrap', 'system', names.plist],
    ],
    notes: notesOf(request),
  };
}

function notesOf({ envFile, socket, user }: ServiceRequest): readonly string[] {
  return [
    ...(user === null ? [`The service runs as ${usualAccount}, the web server's account.`] : []),
    ...(envFile === null
      ? []
      : [
          `launchd reads no files of variables: ${envFile} was copied, and after a change of it install again.`,
        ]),
    ...(socket ? ['launchd hands no sockets to rom-agent: the daemon opens the port itself.'] : []),
  ];
}

type Words = Readonly<Record<string, string>>;

/** In XML. */
function fill(text: string, words: Words): string {
  return text.replaceAll(/@([A-Z]+)@/g, (whole, word: string) => {
    const found = words[word];
    return found === undefined ? whole : xmlText(found);
  });
}

function fillText(text: string, words: Words): string {
  return text.replaceAll(/@([A-Z]+)@/g, (whole, word: string) => words[word] ?? whole);
}

function withVariables(plist: string, variables: Words): string {
  const lines = Object.entries(variables).map(([name, value]) => {
    checkVariable(name, value);
    return `    <key>${name}</key>\n    <string>${xmlText(value)}</string>\n`;
  });
  return plist.replace(/(<key>EnvironmentVariables<\/key>\s*<dict>\n)/, (head) => head + lines.join(''));
}
