import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { commandTree, completionFor } from '../../../src/cli/completion.js';
import { createProgram, shells } from '../../../src/cli/program.js';
import { loadConfig } from '../../../src/config/load.js';
import { mostWorkers } from '../../../src/protocol/limits.js';
import { policyShare, workerShare } from '../../../src/settings/config.js';
import { flagOf, isReadBy, type Key, keys, pathOf, settingOf } from '../../../src/settings/settings.js';
import { table } from '../../../src/settings/table.js';
import { loadInput } from '../../support/load-input.js';
import { repoRoot } from '../../support/process.js';

const program = createProgram({ exit: () => {} });
const { config } = await loadConfig(loadInput());

describe('an entry of the table is all that a setting needs: each', () => {
  test('has a place in the Config', () => {
    assert.deepEqual(leaves(config).sort(), [...keys.map(place), 'dotenv', 'jobs'].sort());
  });

  test('reaches the core or a worker where the table says so, and nobody else', () => {
    assert.deepEqual(leaves(policyShare(config)).sort(), keys.filter(isReadBy('policy')).map(place).sort());
    assert.deepEqual(leaves(workerShare(config)).sort(), keys.filter(isReadBy('worker')).map(place).sort());
  });

  test('is a flag of serve, check and doctor, or their argument', () => {
    for (const name of ['serve', 'check', 'doctor']) {
      const command = commandTree(program).commands.find((command) => command.name === name);
      const flags = command?.options.map(({ long }) => long) ?? [];
      assert.deepEqual(
        keys.map(flagOf).filter((flag) => flag !== null && !flags.includes(flag)),
        [],
        name,
      );
      assert.equal(command?.arguments[0]?.name, 'app');
    }
  });

  for (const shell of shells) {
    test(`is in the completion of ${shell}, with its values where they can be listed`, () => {
      const completion = completionFor(shell, program);
      for (const key of keys) {
        const name = flagOf(key)?.slice(2) ?? '';
        assert.ok(completion.includes(name), key);
        for (const choice of settingOf(key).kind.choices ?? []) {
          assert.ok(completion.includes(String(choice)), `${key}: ${choice}`);
        }
      }
    });
  }

  for (const [path, line] of [
    ['docs/reference/settings.md', (key: Key) => `| \`${nameOf(key)}\` | ${settingOf(key).description} |`],
    ['packaging/rom-agent.toml', (key: Key) => `\n#${nameOf(key)} = `],
    ['packaging/man/rom-agent.1', (key: Key) => (flagOf(key) ?? key).replaceAll('-', '\\-')],
  ] as const) {
    test(`is in ${path}`, () => {
      const text = readFileSync(join(repoRoot, path), 'utf8');
      assert.deepEqual(
        keys.filter((key) => !text.includes(line(key))),
        [],
      );
    });
  }
});

test('as many workers can be configured as a service can be scaled to', () => {
  assert.deepEqual(
    [mostWorkers, mostWorkers + 1].map((workers) => table.workers.kind.parse(workers, 'toml')),
    [mostWorkers, undefined],
  );
});

/** Names such as `health.slowDelay`. */
function leaves(tree: object, above: readonly string[] = []): string[] {
  return Object.entries(tree).flatMap(([name, value]) => {
    const isSection =
      above.length === 0 && keys.some((key) => pathOf(key).length === 2 && pathOf(key)[0] === name);
    return isSection ? leaves(value as object, [...above, name]) : [[...above, name].join('.')];
  });
}

function place(key: Key): string {
  return pathOf(key).join('.');
}

function nameOf(key: Key): string {
  return key.slice(key.indexOf('.') + 1);
}
