import { type CommandNode, commandTree, type OptionNode } from '../../src/cli/completion.js';
import { createProgram } from '../../src/cli/program.js';
import { version } from '../../src/cli/version.js';
import { exitCodes } from '../../src/errors.js';
import { configFile, defaultOf, flagOf, keys, settingOf, variablesOf } from '../../src/settings/settings.js';

/** packaging/man/rom-agent.1, from the commands, the settings and the exit codes; macros of man(7). */
export function manPage(): string {
  const { commands } = commandTree(createProgram({ exit: () => {} }));
  const sections = [
    section('NAME', [`rom${dash}agent ${dash} runs a Node.js web service on every core`]),
    section('SYNOPSIS', synopsis(commands)),
    section('DESCRIPTION', description),
    section('COMMANDS', commands.flatMap(commandLines)),
    section('SETTINGS', settingLines()),
    section(
      'SIGNALS',
      signals.flatMap(([name, text]) => entry(`.B ${name}`, text)),
    ),
    section('EXIT STATUS', exitLines()),
    section(
      'FILES',
      files.flatMap(([path, text]) => entry(`.I ${roff(path)}`, text)),
    ),
    section(
      'ENVIRONMENT',
      environment.flatMap(([name, text]) => entry(`.B ${roff(name)}`, text)),
    ),
    section('EXAMPLES', examples.flatMap(exampleLines)),
    section('SEE ALSO', ['.BR systemctl (1),', '.BR journalctl (1),', '.BR node (1)']),
  ];
  return `${[head, ...sections].join('\n')}\n`;
}

const dash = '\\-';

const head = `.\\" Made from the commands and settings of the sources: see CONTRIBUTING.md.
.TH ROM${dash}AGENT 1 2026-11-23 "rom${dash}agent ${version}" "User Commands"`;

const description = [
  ...paragraph(
    'rom-agent is a daemon that runs a Node.js web service with one worker per CPU. Its master starts the workers, replaces those that crash or hang, and drains them before they end, so that no request is lost.',
  ),
  '.PP',
  ...paragraph(
    'serve is the daemon; check, completion and help need none. The other commands ask a daemon that runs, over its control socket, which is open to its owner and its group.',
  ),
];

const signals = [
  ['SIGTERM', 'Drain the workers, then end. SIGINT does the same; a second SIGINT does not wait.'],
  ['SIGHUP', 'Reload, as the command reload does.'],
  ['SIGUSR2', 'Replace all workers one after the other, without a rollback.'],
  ['SIGTTIN, SIGTTOU', 'One worker more, one worker less.'],
] as const;

const statuses: Readonly<Record<keyof typeof exitCodes, string>> = {
  ok: 'Done; of serve: stopped as asked.',
  bug: 'A bug in rom-agent itself.',
  usage: 'An unknown command, option or argument.',
  moduleMissing: "The app's module, or one that it imports, does not exist.",
  addressInUse: 'No daemon runs; of serve: the address is in use or is not one of this machine.',
  appFailed:
    'The reload was rolled back, or the new worker ended; of serve: the app threw or ended before it listened.',
  noResources: 'A process could not be started, or memory ran out.',
  cannotCreate: 'The log directory or a socket cannot be written.',
  tryAgain:
    'The daemon refused, was stopped meanwhile, or took too long; of serve: too many workers died within a minute.',
  noPermission: 'No permission: to use the control socket, or to listen.',
  config: 'The configuration has errors.',
};

const files = [
  [configFile.path, 'The configuration, where it exists.'],
  ['/run/rom-agent/control.sock', 'The control socket of a daemon that runs as a service.'],
  [
    '/var/lib/rom-agent',
    'What outlives the daemon: the history of reloads, and below evidence profiles and heap snapshots.',
  ],
] as const;

const environment = [
  [configFile.variable, 'The configuration file.'],
  ['NO_COLOR', 'Set to anything: no colours.'],
] as const;

const examples = [
  ['Serve an app on port 8080:', 'rom-agent serve ./server.js --port 8080'],
  ['Bring a new release into service and wait for the verdict:', 'rom-agent reload'],
  ['Watch the workers meanwhile:', 'rom-agent status --watch'],
  ['See what a worker does that does not answer:', 'rom-agent stack 2'],
  ['One worker more:', 'rom-agent scale +1'],
  ['Develop the app, with a restart at each change:', 'rom-agent serve ./server.js --watch'],
] as const;

function synopsis(commands: readonly CommandNode[]): readonly string[] {
  return commands.flatMap(({ name, arguments: args }, index) => [
    ...(index === 0 ? [] : ['.br']),
    `.B rom${dash}agent ${name}`,
    '.RI [ options ]',
    ...args.map((argument) =>
      argument.required ? `.I ${roff(argument.name)}` : `.RI [ ${roff(argument.name)} ]`,
    ),
  ]);
}

function commandLines({
  name,
  description: about,
  arguments: args,
  options,
}: CommandNode): readonly string[] {
  const own = options.filter(({ long }) => !isSetting(long) && long !== '--help' && long !== configFile.flag);
  const inner = [
    ...args.flatMap((argument) => entry(`.I ${roff(argument.name)}`, sentence(argument.description))),
    ...own.flatMap((option) => entry(optionTag(option), sentence(option.description))),
  ];
  const nested = inner.length === 0 ? [] : ['.RS', ...inner, '.RE'];
  return [`.SS ${name}`, ...paragraph(sentence(about)), ...nested];
}

function settingLines(): readonly string[] {
  const introduction = paragraph(
    `serve and check take a flag for each of these. Its environment variable counts less than the flag, a line of .env in the working directory less than that, and the configuration file least; --config names another file than ${configFile.path}. The other commands take --config and --control-socket alone.`,
  );
  const entries = keys.flatMap((key) => {
    const flag = flagOf(key);
    if (flag === null) return [];
    const { description: about } = settingOf(key);
    const text = `${about} Default: ${defaultOf(key)}. Environment: ${variablesOf(key).join(', ')}.`;
    return entry(`.BI ${roff(flag)} " value"`, text.replaceAll('`', ''));
  });
  return [...introduction, ...entries];
}

function exitLines(): readonly string[] {
  const names = Object.keys(exitCodes) as (keyof typeof exitCodes)[];
  return [
    ...names.flatMap((name) => entry(`.B ${exitCodes[name]}`, statuses[name])),
    ...entry('.B 130', 'Ctrl-C ended the command reload; the reload itself goes on.'),
  ];
}

function exampleLines([text, command]: readonly [string, string]): readonly string[] {
  return ['.PP', ...paragraph(text), '.PP', '.nf', '.RS', roff(command), '.RE', '.fi'];
}

function section(title: string, lines: readonly string[]): string {
  const [first, ...rest] = lines;
  // A section begins with a paragraph.
  const body = first === '.PP' ? rest : lines;
  return [`.SH ${title.includes(' ') ? `"${title}"` : title}`, ...body].join('\n');
}

function entry(tag: string, text: string): readonly string[] {
  return ['.TP', tag, ...paragraph(text)];
}

function optionTag({ short, long, value }: OptionNode): string {
  const flags = [short, long]
    .filter((name) => name !== null)
    .map(roff)
    .join(', ');
  return value === null ? `.B "${flags}"` : `.BI "${flags}" " ${roff(value)}"`;
}

function isSetting(long: string): boolean {
  return keys.some((key) => flagOf(key) === long);
}

function sentence(text: string): string {
  const first = `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
  return first.endsWith('.') ? first : `${first}.`;
}

/** A sentence a line, as man-pages(7) has it: the formatter then sets the space after it. */
function paragraph(text: string): readonly string[] {
  return text
    .replaceAll(/\s+/g, ' ')
    .split(/(?<=[.!?]) (?=[A-Z])/)
    .map((line) => roff(line));
}

/** A line that begins with a dot or a quote would be a request. */
function roff(text: string): string {
  const escaped = text.replaceAll('\\', '\\e').replaceAll('-', dash).replaceAll('~', '\\(ti');
  return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped;
}
