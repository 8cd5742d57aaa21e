import { splitWords } from '../settings/kinds.js';

/** How an app is started, read from a command line such as the script "start" of a package.json. */
export interface StartCommand {
  /** A module's path, `.`, or a command of one of the app's packages, such as `next`. */
  readonly app: string;
  readonly args: readonly string[];
  /** Flags of Node. */
  readonly nodeArgs: readonly string[];
  /** Variables that the command sets for itself. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Understands `node [flags] FILE [arguments]`, the programs that stand in for node (tsx, ts-node, nodemon), a command of a
 * package (`next start`), and variables before any of them. Null where it is more than one command, a process manager,
 * or has a variable of the shell's in it.
 */
export function parseStartCommand(script: string): StartCommand | null {
  if (/[;&|<>`$()]/.test(script)) return null;
  const words = splitWords(script);
  if (words === null) return null;
  const { env, rest } = takeVariables(words);
  const [program, ...others] = rest[0] === 'npx' ? rest.slice(1) : rest;
  if (program === undefined || program.startsWith('-') || managers.has(program)) return null;
  const flags = runners[program];
  if (flags !== undefined) return ofNode(others, { env, flags });
  // A command of the system may have any meaning: those of packages alone can be served.
  return { app: program, args: others, nodeArgs: [], env };
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
  }
  return { env, rest };
}

function ofNode(
  words: readonly string[],
  { env, flags }: { env: Readonly<Record<string, string>>; flags: readonly string[] },
): StartCommand | null {
  const nodeArgs = [...flags];
  const rest = words.filter((word, place) => !(dropped.has(word) && words.slice(0, place).every(isFlag)));
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (!isFlag(word)) return { app: word, args: rest, nodeArgs, env };
    const value = withValue.has(word) ? rest.shift() : undefined;
    if (withValue.has(word) && value === undefined) return null;
    nodeArgs.push(value === undefined ? word : `${longNames[word] ?? word}=${value}`);
  }
  return null;
}

const longNames: Readonly<Record<string, string>> = { '-r': '--require', '-C': '--conditions' };

function isFlag(word: string): boolean {
  return word.startsWith('-');
}
