import { readFileSync, realpathSync, statSync } from 'node:fs';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { pathToFileURL } from 'node:url';
import workerThreads from 'node:worker_threads';
import { exitCodes, RomAgentError } from '../../errors.js';
import { runMainModule } from '../node-internals/process.js';

/**
 * Runs the app's module as `node <file>` would (it is the main module: `require.main === module` holds, and
 * `process.argv[1]` names it) and returns what it exports by default, and the file that it is.
 *
 * @param path absolute path of a file, or of a folder with a package.json or an index.js
 * @throws RomAgentError (exit 66) where there is no such module; whatever the module throws; Node's error where the
 * folder's package.json cannot be read
 */
export async function loadApp(path: string): Promise<{ file: string; exported: unknown }> {
  const file = resolveApp(path);
  process.argv[1] = file;
  // The module is cached: this import waits until it is evaluated, and returns its exports.
  runMainModule(file);
  const namespace: { default?: unknown } = await import(pathToFileURL(file).href);
  return { file, exported: unwrapDefault(namespace.default) };
}

export function resolveApp(path: string): string {
  try {
    return realpathSync(createRequire(`${path}/`).resolve(path));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw cause;
    throw new RomAgentError(`module missing: app: ${describeMissing(path)}`, {
      exitCode: exitCodes.moduleMissing,
      cause,
    });
  }
}

function describeMissing(path: string): string {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  if (!isFolder) return `there is no file ${path}`;
  return `the folder ${path} has neither a package.json with a "main" that exists nor an index.js`;
}

/** CommonJS that was compiled from ES modules has its default export in `exports.default`. */
function unwrapDefault(exported: unknown): unknown {
  if (typeof exported !== 'object' || exported === null) return exported;
  return '__esModule' in exported && 'default' in exported ? exported.default : exported;
}

type Threads = Pick<typeof workerThreads, 'Worker'>;

/**
 * A thread inherits the flags that its process was started with, whatever process.execArgv says. Our own flags are
 * not for threads: one that passes its process.execArgv on to a further thread would fail
 * (ERR_WORKER_INVALID_EXEC_ARGV). So a thread for which the app names no flags gets the app's own.
 *
 * @param flags what the app itself finds in process.execArgv
 */
export function startThreadsWith(flags: readonly string[], threads: Threads = workerThreads): void {
  const { Worker } = threads;
  const started = new Proxy(Worker, {
    construct: (target, args: unknown[], newTarget) => {
      const [file, options = {}] = args;
      if (typeof options !== 'object' || options === null || namesFlags(options))
        return Reflect.construct(target, args, newTarget);
      try {
        const given = Object.create(options, { execArgv: { value: [...flags], enumerable: true } });
        return Reflect.construct(target, [file, given], newTarget);
      } catch (error) {
        // Some flags of the operator can only be inherited, not named for a thread.
        if ((error as NodeJS.ErrnoException).code !== 'ERR_WORKER_INVALID_EXEC_ARGV') throw error;
        return Reflect.construct(target, args, newTarget);
      }
    },
  });
  Worker.prototype.constructor = started;
  threads.Worker = started;
  if (threads === workerThreads) syncBuiltinESMExports();
}

function namesFlags(options: object): boolean {
  return 'execArgv' in options && Boolean(options.execArgv);
}

/**
 * What the source of the app's file says about how it starts. A bundle or a comment may mislead, which changes only
 * how long we wait.
 */
export interface OwnStart {
  /** It asks whether it is the main module, or calls what it exports: run as the main module, it has started itself. */
  readonly startsItself: boolean;
  /** It calls `listen()` somewhere. */
  readonly listens: boolean;
}

const asksForMain =
  /\brequire\.main\b|\bimport\.meta\.main\b|\bmodule\.parent\b|\bprocess\.mainModule\b|\bprocess\.argv\s*(?:\?\.)?\[\s*1\s*\]/;
const callsListen = /\.listen\s*\(/;
/** A larger file is a bundle of everything, and its text says nothing. Bytes */
const largest = 8 * 2 ** 20;

/** @param name of the function that the app exports; empty: none */
export function ownStart(file: string, name: string, read = readText): OwnStart {
  const text = read(file);
  return { startsItself: asksForMain.test(text) || calls(text, name), listens: callsListen.test(text) };
}

function calls(text: string, name: string): boolean {
  if (!/^[A-Za-z_$][\w$]*$/.test(name) || name === 'default') return false;
  const call = new RegExp(`(?<![\\w$.])${name.replaceAll('$', '\\$')}\\s*\\(`, 'g');
  const definition = /\bfunction\s*\*?\s*$/;
  return [...text.matchAll(call)].some(
    ({ index }) => !definition.test(text.slice(Math.max(0, index - 40), index)),
  );
}

function readText(file: string): string {
  try {
    const text = readFileSync(file, 'utf8');
    return text.length > largest ? '' : text;
  } catch {
    return '';
  }
}
