import { basename, dirname, extname, join, resolve } from 'node:path';
import { commandFile } from '../config/app.js';
import { isRecord, isWithin, type Package, packageFolder, readPackage } from '../config/package.js';
import { parseStartCommand } from '../config/start-script.js';
import { exitCodes, RomAgentError } from '../errors.js';
import type { HostSeam } from './world.js';

/** What is found out about an app without running it. */
export interface AppFacts {
  /** What the setting `app` will be. Absolute. */
  readonly app: string;
  /** What the start script of its package.json says beside the file; null where the app was named itself. */
  readonly script: StartScript | null;
  /** The file that Node will load. */
  readonly file: string;
  /** Of its package: where the nearest package.json is, else of the file. */
  readonly folder: string;
  /** A name for the service, from the package.json. */
  readonly proposedName: string | null;
  readonly framework: string | null;
  /** `engines.node` */
  readonly engines: string | null;
  /** Folders in which the app is likely to write. */
  readonly writes: readonly Written[];
}

export interface StartScript {
  readonly text: string;
  readonly args: readonly string[];
  readonly nodeArgs: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
}

export interface Written {
  readonly folder: string;
  /** What makes it likely, in words. */
  readonly because: string;
}

/**
 * Looks at an app: a file, a folder with a package.json, or a command such as `next` that a package brings.
 *
 * @throws RomAgentError exit 66 where there is no such app
 */
export function inspectApp(argument: string, seam: HostSeam): AppFacts {
  const { app, file, script } = resolveApp(argument, seam);
  const folder = packageFolder(dirname(app), seam.readFile) ?? dirname(app);
  const manifest = readPackage(folder, seam.readFile);
  const framework = frameworkOf(manifest);
  return {
    ...{ app, script, file, folder, framework },
    proposedName: nameFrom(manifest?.name),
    engines: textIn(manifest?.engines, 'node'),
    writes: writesOf({ folder, framework, seam }),
  };
}

interface Resolved {
  readonly app: string;
  readonly file: string;
  readonly script: StartScript | null;
}

function resolveApp(argument: string, seam: HostSeam): Resolved {
  const path = resolve(seam.cwd, argument);
  const readable = (each: string) => seam.readFile(each);
  if (seam.stat(path) === null) {
    const command = /^[\w.-]+$/.test(basename(path))
      ? commandFile(basename(path), dirname(path), readable)
      : null;
    if (command !== null) return { app: path, file: command, script: null };
    throw missing(`there is no app ${path}: expected a file of JavaScript, or a folder with a package.json`);
  }
  if (!isFolder(path, seam)) return { app: path, file: path, script: null };
  return fromStartScript(path, seam) ?? fromMain(path, seam);
}

/** A script that a shell or a package manager would have to run is left to the operator. */
function fromStartScript(folder: string, seam: HostSeam): Resolved | null {
  const text = textIn(readPackage(folder, seam.readFile)?.scripts, 'start');
  const start = text === null ? null : parseStartCommand(text);
  if (text === null || start === null) return null;
  const { runs, app, args, nodeArgs, env: variables } = start;
  const script: StartScript = { text, args, nodeArgs, variables };
  if (runs === 'file') {
    const file = fileOf(join(folder, app), seam);
    return file === null ? null : { app: file, file, script };
  }
  const file = runs === 'command' ? commandFile(app, folder, (path) => seam.readFile(path)) : null;
  return file === null ? null : { app: join(folder, app), file, script };
}

function fromMain(folder: string, seam: HostSeam): Resolved {
  const main = readPackage(folder, seam.readFile)?.main;
  const candidates = [...(typeof main === 'string' ? [main] : []), ...usualFiles];
  for (const candidate of candidates) {
    const file = fileOf(join(folder, candidate), seam);
    if (file !== null) return { app: file, file, script: null };
  }
  throw missing(
    `${folder} does not say what to run: expected "main" or a plain start script in its package.json, or one of ${usualFiles.join(', ')}; or name the file`,
  );
}

const usualFiles = ['server.js', 'index.js', 'app.js', 'server.mjs', 'index.mjs', 'app.mjs'];

function fileOf(path: string, seam: HostSeam): string | null {
  const candidates = extname(path) === '' ? [path, `${path}.js`, join(path, 'index.js')] : [path];
  return candidates.find((each) => seam.stat(each)?.isDirectory === false) ?? null;
}

const frameworks: readonly (readonly [dependency: string, name: string])[] = [
  ['next', 'Next.js'],
  ['nuxt', 'Nuxt'],
  ['@nestjs/core', 'NestJS'],
  ['@remix-run/serve', 'Remix'],
  ['@react-router/serve', 'React Router'],
  ['@sveltejs/kit', 'SvelteKit'],
  ['astro', 'Astro'],
  ['@adonisjs/core', 'AdonisJS'],
  ['@strapi/strapi', 'Strapi'],
  ['@hapi/hapi', 'hapi'],
  ['fastify', 'Fastify'],
  ['koa', 'Koa'],
  ['hono', 'Hono'],
  ['express', 'Express'],
];

function frameworkOf(manifest: Package | null): string | null {
  const dependencies = manifest?.dependencies;
  if (!isRecord(dependencies)) return null;
  return frameworks.find(([dependency]) => Object.hasOwn(dependencies, dependency))?.[1] ?? null;
}

const usualFolders = [
  ...['uploads', 'upload', 'public/uploads', 'data', 'db', 'storage', 'database'],
  ...['logs', 'log', 'tmp', 'cache', '.cache', '.tmp', 'sessions'],
];
const databases = /\.(?:sqlite3?|db)$/;

function writesOf({
  folder,
  framework,
  seam,
}: {
  readonly folder: string;
  readonly framework: string | null;
  readonly seam: HostSeam;
}): readonly Written[] {
  const named = usualFolders
    .map((name) => join(folder, name))
    .filter((path) => isFolder(path, seam))
    .map((path): Written => ({ folder: path, because: 'its name' }));
  const files = ['.', 'data', 'db', 'database', 'prisma'].flatMap((name) => {
    const within = join(folder, name);
    const file = seam.entries(within).find((entry) => databases.test(entry));
    // SQLite makes its journal beside the database.
    return file === undefined ? [] : [{ folder: within, because: `the database ${file}` }];
  });
  const next =
    framework === 'Next.js' && isFolder(join(folder, '.next'), seam)
      ? [{ folder: join(folder, '.next/cache'), because: 'Next.js keeps images and pages there' }]
      : [];
  const all = [...files, ...named, ...next];
  return all.filter((each, index) => all.findIndex((other) => isWithin(each.folder, other.folder)) === index);
}

/** `@acme/Shop API` is `shop-api`. */
function nameFrom(name: unknown): string | null {
  if (typeof name !== 'string') return null;
  const words = name
    .replace(/^@[^/]*\//, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '');
  return words === '' ? null : words.slice(0, 41);
}

function textIn(value: unknown, key: string): string | null {
  const text = isRecord(value) && Object.hasOwn(value, key) ? value[key] : null;
  return typeof text === 'string' ? text : null;
}

function isFolder(path: string, seam: HostSeam): boolean {
  return seam.stat(path)?.isDirectory === true;
}

function missing(message: string): RomAgentError {
  return new RomAgentError(message, { exitCode: exitCodes.moduleMissing });
}
