import { spawn } from 'node:child_process';
import { basename, dirname, extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { upwards } from '../../config/package.js';
import { exitCodes, RomAgentError } from '../../errors.js';
import { appsOfFile, appsOfList, type Ecosystem } from './apps.js';

export interface FileSeam {
  readonly readFile: (path: string) => string;
  /** Throws an ErrnoException where there is none. */
  readonly stat: (path: string) => { readonly uid: number; readonly gid: number; readonly mode: number };
  readonly uid: number;
  /** Runs the file as somebody and resolves to what it exports, as JSON. */
  readonly execute: (path: string, as: Identity | null) => Promise<string>;
}

export interface Identity {
  readonly uid: number;
  readonly gid: number;
}

/**
 * The apps of an ecosystem file or of dump.pm2. A `.js`, `.cjs` or `.mjs` file is code: it runs as the user who calls, and
 * where that is root as the owner of the file.
 *
 * @throws RomAgentError exit 66 without the file, 77 for one that root may not run, 78 for one that holds no apps
 */
export async function readEcosystem(file: string, seam: FileSeam): Promise<Ecosystem> {
  const path = resolve(file);
  const content = await contentOf(path, seam);
  const home = dirname(path);
  const found = isDump(path) ? appsOfList(content, home) : appsOfFile(content, home);
  const named = found?.apps.filter(({ name }) => name !== '') ?? [];
  if (found === null || named.length === 0)
    throw failure(
      `${path} holds no apps: expected {apps: [{name, script, ...}]}, as an ecosystem file of PM2 has`,
      exitCodes.config,
    );
  return { ...found, apps: named };
}

function isDump(path: string): boolean {
  return /^dump\.pm2/.test(basename(path));
}

async function contentOf(path: string, seam: FileSeam): Promise<unknown> {
  const extension = extname(path);
  if (/^\.ya?ml$/.test(extension))
    throw failure(
      `${path} is YAML, which rom-agent does not read: start it with PM2 and call rom-agent import without a file, which takes what PM2 runs; or write it as JSON`,
      exitCodes.usage,
    );
  if (isDump(path) || extension === '.json') return parsed(read(path, seam), path);
  if (['.js', '.cjs', '.mjs'].includes(extension))
    return parsed(await seam.execute(path, mayRun(path, seam)), path);
  throw failure(
    `${path} is not right: expected ecosystem.config.js, .cjs, .mjs or .json, or dump.pm2`,
    exitCodes.usage,
  );
}

function read(path: string, { readFile }: FileSeam): string {
  try {
    return readFile(path);
  } catch (error) {
    throw failure(`cannot read ${path}: ${messageOf(error)}`, exitCodes.moduleMissing, error);
  }
}

function parsed(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const remedy = path.endsWith('.json')
      ? '; PM2 takes comments and single quotes too: as ecosystem.config.cjs, with module.exports =, rom-agent reads them'
      : '';
    throw failure(`${path} is not JSON: ${messageOf(error)}${remedy}`, exitCodes.config, error);
  }
}

/**
 * Who runs the code of a file: whoever calls. Root runs a file of its own only if nobody else may write it, and anybody
 * else's as that user, who could have changed it.
 */
function mayRun(path: string, seam: FileSeam): Identity | null {
  const { uid, gid, mode } = statOf(path, seam);
  if (seam.uid !== 0) return null;
  if (uid !== 0) return { uid, gid };
  for (const each of [path, ...upwards(dirname(path))]) {
    const about = each === path ? { uid, mode } : statOf(each, seam);
    // In a sticky folder, such as /tmp, nobody replaces the files of others.
    const isOpen = (about.mode & 0o022) !== 0 && (about.mode & 0o1000) === 0;
    if (!isOpen && about.uid === 0) continue;
    throw failure(
      `not run as root: ${path} is code, and others than root may write ${each === path ? 'it' : each}. Change that, or call rom-agent import as its user with --dry-run`,
      exitCodes.noPermission,
    );
  }
  return null;
}

function statOf(path: string, { stat }: FileSeam) {
  try {
    return stat(path);
  } catch (error) {
    throw failure(`cannot read ${path}: ${messageOf(error)}`, exitCodes.moduleMissing, error);
  }
}

/**
 * What the module at `path` exports, as JSON, from a process of its own: what it prints goes nowhere, and what it throws
 * is the error's message.
 */
export function executeFile(path: string, as: Identity | null): Promise<string> {
  const code = `const { writeSync } = await import('node:fs');
const module = await import(process.argv[1]);
const text = Buffer.from(JSON.stringify(module.default ?? module) ?? 'null');
for (let at = 0; at < text.length; ) at += writeSync(3, text, at);
process.exit(0);`;
  const argv = ['--input-type=module', '-e', code, pathToFileURL(path).href];
  const child = spawn(process.execPath, argv, {
    cwd: dirname(path),
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    timeout: executionLimit,
    ...(as ?? {}),
  });
  const result: Buffer[] = [];
  const errors: Buffer[] = [];
  (child.stdio[3] as NodeJS.ReadableStream).on('data', (chunk: Buffer) => result.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => errors.push(chunk));
  return new Promise((done, fail) => {
    child.once('error', (error) =>
      fail(failure(`cannot run ${path}: ${error.message}`, exitCodes.noPermission, error)),
    );
    child.once('close', (code, signal) => {
      if (code === 0) return done(Buffer.concat(result).toString());
      const said = Buffer.concat(errors).toString();
      const reason = /^\w*Error.*$/m.exec(said)?.[0] ?? said.trim().split('\n').at(-1) ?? '';
      const why = signal === null ? reason : `it did not end within ${executionLimit / 1000} s`;
      fail(failure(`${path} cannot be run: ${why}`, exitCodes.config));
    });
  });
}

/** ms */
const executionLimit = 30_000;

function failure(
  message: string,
  exitCode: (typeof exitCodes)[keyof typeof exitCodes],
  cause?: unknown,
): RomAgentError {
  return new RomAgentError(message, { exitCode, cause });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
