import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { commandFile } from '../../config/app.js';
import { isRecord, type Package } from '../../config/package.js';
import type { ReadFile } from '../../config/sources.js';
import { parseStartCommand, type StartCommand } from '../../config/start-script.js';
import { type ExitCode, exitCodes, RomAgentError } from '../../errors.js';
import { type Key, settingOf } from '../../settings/settings.js';
import { writeOut } from '../output.js';

const fileName = 'rom-agent.toml';

/** `rom-agent init`: writes rom-agent.toml for the app in the current directory. @throws RomAgentError */
export function initCommand({ stdout = false }: { readonly stdout?: boolean }): ExitCode {
  const folder = process.cwd();
  const { text, notes } = planInit({
    folder,
    readFile: (path) => readFileSync(path, 'utf8'),
    exists: existsSync,
  });
  if (stdout) {
    writeOut(text);
    return exitCodes.ok;
  }
  const path = join(folder, fileName);
  try {
    writeFileSync(path, text, { flag: 'wx' });
  } catch (error) {
    throw unwritable(error as NodeJS.ErrnoException, path);
  }
  const next = [
    `rom-agent check --config ${fileName}     # every setting, and where it comes from`,
    `rom-agent serve --config ${fileName}     # on every core; with --watch: for development`,
  ];
  writeOut(`wrote ${path}\n${[...notes.map((note) => `note: ${note}`), ...next].join('\n')}\n`);
  return exitCodes.ok;
}

export interface InitFacts {
  readonly folder: string;
  readonly readFile: ReadFile;
  readonly exists: (path: string) => boolean;
}

/** What of the app could not be put into the configuration stands in `notes`. */
export interface InitPlan {
  readonly text: string;
  readonly notes: readonly string[];
}

/** @throws RomAgentError (exit 66) where there is no app in the folder */
export function planInit(facts: InitFacts): InitPlan {
  const found = readPackage(facts);
  const { start, from, notes } = findStart(found, facts);
  const { PORT: port, ...variables } = start.env;
  const others = Object.entries(variables).filter(([name]) => name !== 'NODE_ENV');
  const chosen: Partial<Record<Key, unknown>> = {
    app: start.app,
    ...(start.args.length > 0 ? { args: start.args } : {}),
    ...(start.nodeArgs.length > 0 ? { node_args: start.nodeArgs } : {}),
    ...(port !== undefined && /^\d+$/.test(port) ? { port: Number(port) } : {}),
    ...(start.env.NODE_ENV === undefined ? {} : { node_env: start.env.NODE_ENV }),
  };
  const engines = isRecord(found?.engines) ? found.engines.node : undefined;
  const all = [
    ...notes,
    ...(others.length === 0
      ? []
      : [
          `${from} sets ${others.map(([name]) => name).join(', ')}: put that into .env, or the service's environment`,
        ]),
    ...(start.args.some((word) => /^(-p|--port)(=|$)/.test(word))
      ? ['the app takes its port from an argument: it has to be that of the setting port']
      : []),
    ...(typeof engines === 'string'
      ? [`the app asks for Node ${engines}; rom-agent runs it with its own node`]
      : []),
  ];
  return { text: document(chosen, { from, notes: all }), notes: all };
}

interface Start {
  readonly start: StartCommand;
  /** Where that was found, in words. */
  readonly from: string;
  readonly notes: readonly string[];
}

/** What people call the module of a server. */
const usualNames = [
  'server',
  'app',
  'index',
  'main',
  'dist/main',
  'dist/index',
  'dist/server',
  'src/server',
  'src/index',
];
const endings = ['js', 'mjs', 'cjs', 'ts', 'mts'];

function findStart(found: Package | null, facts: InitFacts): Start {
  const { folder, exists } = facts;
  const bare = (app: string): StartCommand => ({ runs: 'file', app, args: [], nodeArgs: [], env: {} });
  const script = isRecord(found?.scripts) ? found.scripts.start : undefined;
  const notes: string[] = [];
  if (typeof script === 'string') {
    const from = 'the script "start" of package.json';
    const start = parseStartCommand(script);
    if (start !== null && start.runs !== 'manager' && isThere(start.app, facts))
      return { start, from, notes };
    notes.push(`${from} (${script}) is no command that could be served: see app, args and node_args`);
  }
  const { main } = found ?? {};
  if (typeof main === 'string' && isThere(main, facts))
    return { start: bare(main), from: '"main" of package.json', notes };
  const files = usualNames.flatMap((name) => endings.map((ending) => `${name}.${ending}`));
  const file = files.find((name) => exists(join(folder, name)));
  if (file !== undefined) return { start: bare(file), from: 'the name of the file', notes };
  if (typeof script === 'string' || found !== null)
    return {
      start: bare(typeof main === 'string' ? main : 'server.js'),
      from: 'a guess: no such file is there yet',
      notes,
    };
  throw new RomAgentError(
    `there is no app in ${folder}: neither a package.json nor a ${usualNames.slice(0, 4).join('.js, ')}.js`,
    { exitCode: exitCodes.moduleMissing },
  );
}

function isThere(app: string, { folder, exists, readFile }: InitFacts): boolean {
  if (exists(join(folder, app)) || endings.some((ending) => exists(join(folder, `${app}.${ending}`))))
    return true;
  return basename(app) === app && commandFile(app, folder, readFile) !== null;
}

/** Settings that many services change, with a value that shows how. */
const offered: readonly Key[] = [
  'args',
  'node_args',
  'port',
  'host',
  'workers',
  'node_env',
  'drain_timeout',
  'sticky',
  'memory.max_rss',
  'reload.probe',
];

function document(
  chosen: Partial<Record<Key, unknown>>,
  { from, notes }: { readonly from: string; readonly notes: readonly string[] },
): string {
  const keys: readonly Key[] = ['app', ...offered];
  const top = keys.filter((key) => !key.includes('.')).map((key) => entry(key, chosen[key]));
  const sections = keys
    .filter((key) => key.includes('.'))
    .map((key) => {
      const [section = '', name = ''] = key.split('.');
      return `# [${section}]\n${entry(key, undefined, name)}`;
    });
  const head = [
    'The configuration of rom-agent for the app in this directory. rom-agent check --config rom-agent.toml prints',
    'what is in effect. What is commented out has the value that it shows, or an example of one.',
    `How the app starts is from ${from}.`,
    ...notes.map((note) => `Note: ${note}.`),
    'All settings: man rom-agent, or docs/reference/settings.md.',
  ];
  return `${head.map((line) => `# ${line}`).join('\n')}\n\n${[...top, ...sections].join('\n')}`;
}

function entry(key: Key, value: unknown, name: string = key): string {
  const { description, kind, example, default: standard } = settingOf(key);
  const isEmpty = standard === null || (Array.isArray(standard) && standard.length === 0);
  const shown = value ?? (isEmpty ? example : standard);
  const lines = wrapped(description.replaceAll('`', ''), 100).map((line) => `# ${line}`);
  return `${lines.join('\n')}\n${value === undefined ? '# ' : ''}${name} = ${kind.literal(shown)}\n`;
}

function wrapped(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length >= width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

/** @throws RomAgentError (exit 78) where it cannot be read */
function readPackage({ folder, readFile, exists }: InitFacts): Package | null {
  const path = join(folder, 'package.json');
  if (!exists(path)) return null;
  try {
    const parsed: unknown = JSON.parse(readFile(path));
    return isRecord(parsed) ? parsed : {};
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RomAgentError(`${path} cannot be read: ${reason}`, { exitCode: exitCodes.config, cause });
  }
}

function unwritable(error: NodeJS.ErrnoException, path: string): RomAgentError {
  const isOld = error.code === 'EEXIST';
  const message = isOld
    ? `${path} exists, and stays as it is: rom-agent init --stdout prints what a new one would hold`
    : `cannot write ${path}: ${error.message}`;
  return new RomAgentError(message, { exitCode: exitCodes.cannotCreate, cause: error });
}
