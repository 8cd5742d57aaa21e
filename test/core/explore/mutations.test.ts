import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { explore } from './explorer.js';
import { type Mutation, mutations } from './mutations.js';
import { type Budget, type Core, explorePolicy, nothing, serving, Violation } from './world.js';

const compiled = fileURLToPath(new URL('../../../src/core/', import.meta.url));
/** Ever more of the world, until the fault is met. */
const campaigns: readonly { readonly budget: Partial<Budget>; readonly depth: number }[] = [
  { budget: { reloads: 1, crashes: 1 }, depth: 5 },
  { budget: { reloads: 1, scales: 1 }, depth: 6 },
  { budget: { reloads: 1, crashes: 1, hangs: 1, restarts: 1 }, depth: 6 },
];

describe('the exploration finds a core in which', () => {
  const folder = mkdtempSync(join(tmpdir(), 'broken-core-'));
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const [index, mutation] of mutations.entries()) {
    test(mutation.fault, async (context) => {
      const core = await broken(mutation, join(folder, String(index)));
      const found = violation(core);
      assert.ok(found !== undefined, 'nobody noticed');
      context.diagnostic(found);
    });
  }

  test('nothing is wrong, not', async () => {
    const same = {
      fault: 'none',
      file: 'reload.js',
      text: 'return served && !left;',
      instead: 'return served && !left;',
    };
    assert.equal(violation(await broken(same, join(folder, 'same'))), undefined);
  });
});

async function broken({ file, text, instead }: Mutation, folder: string): Promise<Core> {
  cpSync(compiled, folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
  const path = join(folder, file);
  const source = readFileSync(path, 'utf8');
  assert.equal(source.split(text).length, 2, `${file} has this once: ${text}`);
  writeFileSync(
    path,
    source.replace(text, () => instead),
  );
  const load = (name: string) => import(pathToFileURL(join(folder, name)).href);
  const [{ step, nextDeadline }, { initialState }] = await Promise.all([load('step.js'), load('model.js')]);
  return { step, nextDeadline, initialState };
}

/** The shortest way to something that does not hold; undefined where nothing was found. */
function violation(core: Core): string | undefined {
  const policy = explorePolicy(2);
  for (const { budget, depth } of campaigns) {
    try {
      const root = serving(core, { left: { ...nothing, ...budget }, policy });
      explore({ core, policy, root, depth, beyondStop: false });
    } catch (error) {
      if (error instanceof Violation) return error.message;
      throw error;
    }
  }
  return undefined;
}
