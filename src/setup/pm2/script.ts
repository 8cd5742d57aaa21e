import { basename, dirname, extname, join, resolve } from 'node:path';
import { commandFile } from '../../config/app.js';
import type { ReadFile } from '../../config/sources.js';
import { joinWords, splitWords } from '../../settings/kinds.js';
import type { Pm2App } from './apps.js';
import { nodeFlagsOf } from './node-flags.js';
import { wordsOf } from './outcome.js';

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
  const words = splitWords(line);
  if (words === null || /[;&|<>`$()*?#~{}]/.test(line))
    return refusal(
      `${JSON.stringify(line)} needs a shell: name the file of JavaScript that it runs in script`,
    );
  return ofWords(words, look);
}

function ofWords(words: readonly string[], look: Look): Script {
  const start = words.findIndex(
    (word) => !/^[A-Za-z_]\w*=/.test(word) && word !== 'cross-env' && word !== 'env',
  );
  if (start === -1) return refusal('it has no command');
  const environment = Object.fromEntries(
    words.slice(0, start).flatMap((word) => {
      const at = word.indexOf('=');
      return at === -1 ? [] : [[word.slice(0, at), word.slice(at + 1)] as const];
    }),
  );
  const [command = '', ...rest] = words.slice(start);
  const script = ofProgram(basename(command), { command, rest, look });
  if ('refusal' in script) return script;
  return { called: { ...script.called, environment: { ...environment, ...script.called.environment } } };
}

function ofProgram(
  program: string,
  { command, rest, look }: { command: string; rest: readonly string[]; look: Look },
): Script {
  if (isManager(program)) return ofPackageScript(rest, look);
  if (program === 'npx' || program === 'bunx')
    return ofWords(
      rest.filter((word) => word !== '--yes' && word !== '-y'),
      look,
    );
  if (program === 'node' || program === 'nodejs') return ofNode(rest, look);
  const path = resolve(look.cwd, command);
  if (/\.[cm]?[jt]s$/.test(command) && isThere(path, look.readFile)) return called({ app: path, args: rest });
  const file = commandFile(program, look.cwd, look.readFile);
  if (file === null)
    return refusal(
      `${joinWords([command, ...rest])}: no package in ${look.cwd}/node_modules has this command; name the file of JavaScript in script`,
    );
  return called({ app: file, args: rest, from: `the command ${joinWords([program, ...rest])}` });
}

function ofNode(words: readonly string[], { cwd }: Look): Script {
  const at = words.findIndex((word, index) => !word.startsWith('-') && !takesNext(words[index - 1]));
  const file = words[at];
  if (at === -1 || file === undefined) return refusal('node is called without a file');
  const flags = nodeFlagsOf(words.slice(0, at));
  return called({
    app: resolve(cwd, file),
    args: words.slice(at + 1),
    nodeArgs: flags.nodeArgs ?? [],
    settings: flags.settings ?? {},
    from: joinWords(['node', ...words]),
  });
}

function takesNext(flag: string | undefined): boolean {
  return (
    flag !== undefined &&
    /^(-r|--require|--import|--loader|--experimental-loader|-C|--conditions|--env-file)$/.test(flag)
  );
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
  for (let folder = cwd; ; folder = dirname(folder)) {
    try {
      const found: unknown = JSON.parse(readFile(join(folder, 'package.json')));
      const { scripts } = found as { scripts?: Readonly<Record<string, unknown>> };
      const line = scripts !== undefined && Object.hasOwn(scripts, name) ? scripts[name] : undefined;
      return typeof line === 'string' ? line : null;
    } catch {
      if (dirname(folder) === folder) return null;
    }
  }
}

function isThere(path: string, readFile: ReadFile): boolean {
  try {
    readFile(path);
    return true;
  } catch (error) {
    return !['ENOENT', 'ENOTDIR', 'EISDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
  }
}
