import { realpathSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { exitCodes, RomAgentError } from '../../errors.js';
import { runMainModule } from '../node-internals.js';

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
  // The module is cached, so that importing it afterwards only waits for it and shows its exports.
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

/** CommonJS that was compiled from ES modules keeps its default export one level down. */
function unwrapDefault(exported: unknown): unknown {
  if (typeof exported !== 'object' || exported === null) return exported;
  return '__esModule' in exported && 'default' in exported ? exported.default : exported;
}
