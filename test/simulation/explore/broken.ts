import assert from 'node:assert/strict';
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Mutation } from './mutations.js';

const compiled = fileURLToPath(new URL('../../../src/', import.meta.url));

/** A copy of the compiled core with a fault in it. @returns what imports a module of it */
export function brokenModules({ file, text, instead }: Mutation, folder: string) {
  const core = join(folder, 'core');
  cpSync(join(compiled, 'core'), core, { recursive: true });
  for (const room of ['protocol', 'settings']) symlinkSync(join(compiled, room), join(folder, room));
  writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
  const path = join(core, file);
  const source = readFileSync(path, 'utf8');
  assert.equal(source.split(text).length, 2, `${file} has this once: ${text}`);
  writeFileSync(
    path,
    source.replace(text, () => instead),
  );
  return (name: string) => import(pathToFileURL(join(core, name)).href);
}
