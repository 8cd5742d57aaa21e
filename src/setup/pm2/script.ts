import { basename, extname, resolve } from 'node:path';
import { commandFile } from '../../config/app.js';
import { isRecord, packageFolder, readPackage } from '../../config/package.js';
import type { ReadFile } from '../../config/sources.js';
import { type StartCommand, startCommandOf, wordsOfLine } from '../../config/start-script.js';
import { joinWords } from '../../settings/kinds.js';
import { settingOf } from '../../settings/settings.js';
import type { Pm2App } from './apps.js';
import { becomes, dropped, type Outcome, todo, wordsOf } from './outcome.js';

/** How node is to be called for an app of PM2. */
export interface Called {
  /** Absolute. */
  readonly app: string;
  readonly args: readonly string[];
  readonly nodeArgs: readonly string[];
  /** Settings that flags of Node have become. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Variables in front of a command. */
  readonly environment: Readonly<Record<string, string>>;
  /** How it was found, where the script itself does not say it. */
  readonly from: string | null;
}

export type Script = { readonly called: Called } | { readonly refusal: string };

/** What `script`, `args` and `interpreter` together run, as far as that is Node. */
export function scriptOf({ config, cwd }: Pm2App, readFile: ReadFile): Script {
  const { script, exec_interpreter: interpreter } = config;
  if (typeof script !== 'string' || script === '') return refusal('it has no script');
  const args = wordsOf(config.args ?? []);
  if (args === null) return refusal(`args: ${JSON.stringify(config.args)} has an open quote`);
  const look: Look = { cwd, readFile, depth: 0 };
  const shell = basename(script);
  if (['bash', 'sh', 'dash'].includes(shell) && args[0] === '-c') return ofCommand(args[1] ?? '', look);
  if (script.includes(' ') && !isThere(resolve(cwd, script), readFile)) return ofCommand(script, look);
  const by = typeof interpreter === 'string' ? interpreter : 'node';
  const runner = basename(by);
  if (/^(tsx|tsx\.js|cli\.mjs)$/.test(runner) && by.includes('tsx'))
    return called({
      app: resolve(cwd, script),
      args,
      nodeArgs: ['--import=tsx'],
      from: `${runner}, as a loader`,
    });
  if (!isNode(runner) && runner !== 'none') return refusal(foreign(runner, script));
  if (isManager(shell) || /(^|\/)npx$/.test(script)) return ofWords([shell, ...args], look);
  const [, owner, command] = /^(.*)\/node_modules\/\.bin\/([^/]+)$/.exec(resolve(cwd, script)) ?? [];
  if (owner !== undefined && command !== undefined)
    return ofWords([command, ...args], { ...look, cwd: owner });
  if (others.has(extname(script))) return refusal(foreign(extname(script), script));
  if (runner === 'none' && !/\.[cm]?[jt]s$/.test(script)) return refusal(foreign('none', script));
  const path = resolve(cwd, script);
  if (!script.includes('/') && !isThere(path, readFile)) {
    const file = commandFile(script, cwd, readFile);
    if (file !== null) return called({ app: file, args, from: `the command ${script}` });
  }
  return called({ app: path, args });
}

/** What comes of `node_args`: flags of Node, some of which are settings of ours. */
export function nodeFlagsOf(value: unknown): Outcome {
  const words = wordsOf(value ?? []);
  if (words === null)
    return todo(`node_args in the configuration: ${JSON.stringify(value)} has an open quote`);
  const flags = joined(words);
  const settings: Record<string, unknown> = {};
  const kept: string[] = [];
  const left: string[] = [];
  for (const flag of flags) {
    const [, name = '', size] =
      /^--(max[-_]old[-_]space[-_]size|max[-_]semi[-_]space[-_]size)=(\d+)$/.exec(flag) ?? [];
    if (size !== undefined) settings[name.replaceAll('-', '_')] = Number(size);
    else if (settingOf('node_args').kind.parse([flag], 'toml') === undefined || isInspector(flag))
      left.push(flag);
    else kept.push(flag);
  }
  const said = [
    ...(kept.length === 0 ? [] : [`node_args = ${JSON.stringify(kept)}`]),
    ...Object.entries(settings).map(([name, size]) => `${name} = ${size}`),
  ];
  if (left.length > 0) {
    const why = left.every(isInspector)
      ? 'an open inspector is no thing for a service; rom-agent stack, profile and heap-snapshot look into a worker'
      : 'they are no flags with which an app runs';
    return { ...todo([...said, `left out: ${left.join(' ')}: ${why}`].join('; ')), settings, nodeArgs: kept };
  }
  if (said.length === 0) return dropped('none');
  return { ...becomes(said.join(', '), settings), nodeArgs: kept };
}

interface Look {
  readonly cwd: string;
  readonly readFile: ReadFile;
  /** Scripts of package.json may call each other. */
  readonly depth: number;
}

const others = new Set(['.py', '.rb', '.sh', '.php', '.pl', '.coffee', '.ls', '.lua']);

function refusal(why: string): Script {
  return { refusal: why };
}

function called(found: Pick<Called, 'app' | 'args'> & Partial<Called>): Script {
  return { called: { nodeArgs: [], settings: {}, environment: {}, from: null, ...found } };
}

function foreign(runner: string, script: string): string {
  return `${script} is not run by node (${runner}): give it a unit of its own, with ExecStart= and Restart=on-failure (systemd.service(5))`;
}

/** PM2 takes every program whose name ends so for Node. */
function isNode(program: string): boolean {
  return /(node|nodejs)(@.*)?$/.test(program) && program !== 'ts-node';
}

function isManager(command: string): boolean {
  return ['npm', 'npm-cli.js', 'yarn', 'yarn.js', 'pnpm', 'pnpm.cjs'].includes(command);
}

/** A command line as PM2 hands it to a shell. */
function ofCommand(line: string, look: Look): Script {
  const words = wordsOfLine(line);
  if (words === null)
    return refusal(
      `${JSON.stringify(line)} needs a shell: name the file of JavaScript that it runs in script`,
    );
  return ofWords(words, look);
}

function ofWords(words: readonly string[], look: Look): Script {
  const start = startCommandOf(words);
  if (start === null) return refusal(`${joinWords(words)} names nothing that Node runs`);
  const script = ofStart(start, { words, look });
  if ('refusal' in script) return script;
  return { called: { ...script.called, environment: { ...start.env, ...script.called.environment } } };
}

function ofStart(
  { runs, app, args, nodeArgs }: StartCommand,
  { words, look }: { words: readonly string[]; look: Look },
): Script {
  const { cwd, readFile } = look;
  const path = resolve(cwd, app);
  if (runs === 'file') {
    const flags = nodeFlagsOf(nodeArgs);
    return called({
      ...{ app: path, args, nodeArgs: flags.nodeArgs ?? [], settings: flags.settings ?? {} },
      from: joinWords(words),
    });
  }
  const program = basename(app);
  if (isManager(program)) return ofPackageScript(args, look);
  if (/\.[cm]?[jt]s$/.test(app) && isThere(path, readFile)) return called({ app: path, args });
  const file = commandFile(program, cwd, readFile);
  if (file === null)
    return refusal(
      `${joinWords([app, ...args])}: no package in ${cwd}/node_modules has this command; name the file of JavaScript in script`,
    );
  return called({ app: file, args, from: `the command ${joinWords([program, ...args])}` });
}

/** `npm start`, `npm run serve -- --flag`, `yarn serve`: what the script of that name in package.json runs. */
function ofPackageScript(words: readonly string[], look: Look): Script {
  const plain = words.filter((word) => !/^(--silent|-s|--|run|run-script)$/.test(word));
  const [name = '', ...more] = plain;
  const line = packageScript(name, look);
  if (line === null) return refusal(`${look.cwd}/package.json has no script ${JSON.stringify(name)}`);
  if (look.depth > 3) return refusal(`the scripts in ${look.cwd}/package.json call each other`);
  const script = ofCommand(line, { ...look, depth: look.depth + 1 });
  if ('refusal' in script)
    return refusal(`the script ${JSON.stringify(name)} in package.json: ${script.refusal}`);
  const { args } = script.called;
  return {
    called: {
      ...script.called,
      args: [...args, ...more],
      from: `the script "${name}" in package.json: ${line}`,
    },
  };
}

function packageScript(name: string, { cwd, readFile }: Look): string | null {
  const scripts = readPackage(packageFolder(cwd, readFile) ?? cwd, readFile)?.scripts;
  const line = isRecord(scripts) && Object.hasOwn(scripts, name) ? scripts[name] : null;
  return typeof line === 'string' ? line : null;
}

function isThere(path: string, readFile: ReadFile): boolean {
  try {
    readFile(path);
    return true;
  } catch (error) {
    return !['ENOENT', 'ENOTDIR', 'EISDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
  }
}

/** A value that stands behind a blank belongs to the flag before it. */
function joined(words: readonly string[]): readonly string[] {
  const flags: string[] = [];
  for (const word of words) {
    const before = flags.at(-1);
    if (word.startsWith('-') || before === undefined) flags.push(long(word));
    else flags[flags.length - 1] = `${before}=${word}`;
  }
  return flags;
}

/** `-r x` has no form with "=". */
function long(flag: string): string {
  return flag === '-r' ? '--require' : flag === '-C' ? '--conditions' : flag;
}

function isInspector(flag: string): boolean {
  return /^--inspect(-|=|$)/.test(flag) || flag === '--debug';
}
