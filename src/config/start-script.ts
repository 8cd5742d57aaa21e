import { splitWords } from '../settings/kinds.js';

/** How an app is started, read from a command line such as the script "start" of a package.json. */
export interface StartCommand {
  /**
   * `file`: Node runs a file or a folder. `command`: one that a package brings, such as `next`, or a program of the system.
   * `manager`: one that starts others, or serves nothing, such as `npm` and `cd`.
   */
  readonly runs: 'file' | 'command' | 'manager';
  /** As it is written: a path, or the name of the command. */
  readonly app: string;
  readonly args: readonly string[];
  /** Flags of Node, each with its value behind "=". */
  readonly nodeArgs: readonly string[];
  /** Variables in front of it. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Understands `node [flags] FILE [arguments]`, the programs that stand in for node (tsx, ts-node, nodemon), a command
 * (`next start`, `npx next start`), and variables before any of them. Null where a shell would have to run it.
 */
export function parseStartCommand(line: string): StartCommand | null {
  const words = wordsOfLine(line);
  return words === null ? null : startCommandOf(words);
}

/** Null where a shell would have to run it, or where a quote is open. */
export function wordsOfLine(line: string): readonly string[] | null {
  return /[;&|<>`$()*?#~{}\n]/.test(line) ? null : splitWords(line);
}

/** Null where it names nothing to run. */
export function startCommandOf(words: readonly string[]): StartCommand | null {
  const { env, rest } = takeVariables(words);
  const [program, ...others] = rest[0] === 'npx' || rest[0] === 'bunx' ? afterNpx(rest) : rest;
  if (program === undefined || program.startsWith('-')) return null;
  const name = program.slice(program.lastIndexOf('/') + 1);
  const flags = Object.hasOwn(runners, name) ? runners[name] : undefined;
  if (flags !== undefined) return ofNode(others, { env, flags });
  const runs = managers.has(name) ? 'manager' : 'command';
  const app = program.endsWith(`node_modules/.bin/${name}`) ? name : program;
  return { runs, app, args: others, nodeArgs: [], env };
}

/** What stands in for node, and the flags with which node does the same. */
const runners: Readonly<Record<string, readonly string[]>> = {
  node: [],
  nodejs: [],
  nodemon: [],
  tsx: ['--import=tsx'],
  'ts-node': ['--require=ts-node/register'],
};

/** They start others themselves, or are no servers. */
const managers = new Set(
  'pm2 pm2-runtime pm2-dev forever npm yarn pnpm bun deno turbo lerna nx concurrently cd sh bash docker make sudo echo exit'.split(
    ' ',
  ),
);

/** Flags of Node whose value is the next word. */
const withValue = new Set(
  '-r --require --import --loader --experimental-loader -C --conditions --env-file'.split(' '),
);

/** Those of them that have no form with "=". */
const longNames: Readonly<Record<string, string>> = { '-r': '--require', '-C': '--conditions' };

/** Flags for the development that the runner is made for. */
const dropped = new Set(['--watch', 'watch']);

function takeVariables(words: readonly string[]): { env: Record<string, string>; rest: readonly string[] } {
  const rest = [...words];
  const env: Record<string, string> = {};
  while (rest[0] === 'env' || rest[0] === 'cross-env') rest.shift();
  for (let word = rest[0]; word !== undefined; word = rest[0]) {
    const [, name, value = ''] = /^([A-Za-z_]\w*)=(.*)$/s.exec(word) ?? [];
    if (name === undefined) break;
    env[name] = value;
    rest.shift();
    while (rest[0] === 'cross-env') rest.shift();
  }
  return { env, rest };
}

function afterNpx(words: readonly string[]): readonly string[] {
  const at = words.findIndex((word, place) => place > 0 && word !== '--yes' && word !== '-y');
  return at === -1 ? [] : words.slice(at);
}

function ofNode(
  words: readonly string[],
  { env, flags }: { env: Readonly<Record<string, string>>; flags: readonly string[] },
): StartCommand | null {
  const nodeArgs = [...flags];
  const rest = words.filter((word, place) => !(dropped.has(word) && words.slice(0, place).every(isFlag)));
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (!isFlag(word)) return { runs: 'file', app: word, args: rest, nodeArgs, env };
    const value = withValue.has(word) ? rest.shift() : undefined;
    if (withValue.has(word) && value === undefined) return null;
    nodeArgs.push(value === undefined ? word : `${longNames[word] ?? word}=${value}`);
  }
  return null;
}

function isFlag(word: string): boolean {
  return word.startsWith('-');
}
