import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadConfig } from '../../../src/config/load.js';
import { rejectionOf } from '../../../src/config/system.js';
import { ConfigError } from '../../../src/errors.js';
import { fileError, loadInput } from '../../support/load-input.js';

type Input = Parameters<typeof loadInput>[0];

async function config(input: Input) {
  return (await loadConfig(loadInput(input))).config;
}

async function expectedOf(input: Input): Promise<string> {
  const error = await loadConfig(loadInput(input)).catch((reason: unknown) => reason);
  assert.ok(error instanceof ConfigError);
  return error.problems.map(({ field, expected }) => `${field}: ${expected}`).join('\n');
}

const etc = '/etc/rom-agent/rom-agent.toml';

describe("the app's arguments", () => {
  test('are an array in TOML, words in the environment, and what stands behind --', async () => {
    assert.deepEqual((await config({ files: { [etc]: 'args = ["start", "a b"]' } })).args, ['start', 'a b']);
    assert.deepEqual((await config({ env: { ROM_AGENT_ARGS: "start 'a b'" } })).args, ['start', 'a b']);
    assert.deepEqual((await config({ flags: { args: ['--x', "it's"] } })).args, ['--x', "it's"]);
  });

  test('are refused where a quote is not closed, and where they are no strings', async () => {
    assert.match(
      await expectedOf({ env: { ROM_AGENT_ARGS: "it's" } }),
      /^args: an array of strings, or words/,
    );
    assert.match(await expectedOf({ files: { [etc]: 'args = [1]' } }), /^args: an array of strings/);
  });
});

describe('flags of Node for the workers', () => {
  test('are taken where this Node knows them', async () => {
    const nodeArgs = ['--import=./register.mjs', '--enable-source-maps', '--stack-size=900'];
    assert.deepEqual(
      (await config({ flags: { args: [], nodeArgs }, nodeRejects: rejectionOf })).nodeArgs,
      nodeArgs,
    );
  });

  test('are refused where this Node does not know them, with what it says', async () => {
    const expected = await expectedOf({ flags: { nodeArgs: ['--fanciful'] }, nodeRejects: rejectionOf });
    assert.match(
      expected,
      /^node_args: flags that Node 20\.19\.0 knows, but it says: bad option: --fanciful$/,
    );
  });

  for (const flag of ['--eval=1', '-p', '--test', '--watch', 'server.js', '--', '-']) {
    test(`are refused where the app would not run with them: ${flag}`, async () => {
      assert.match(
        await expectedOf({ flags: { nodeArgs: [flag] } }),
        /^node_args: flags of Node with which an app runs/,
      );
    });
  }

  test('are refused where a setting says the same, and it is named', async () => {
    assert.match(
      await expectedOf({ flags: { nodeArgs: ['--max_old_space_size=99'] } }),
      /^node_args: flags without --max_old_space_size=99, for which there is max_old_space_size$/,
    );
  });
});

describe('NODE_OPTIONS', () => {
  test('sets the heap limit of the workers where no setting does', async () => {
    const env = { NODE_OPTIONS: '--enable-source-maps --max-old-space-size=2048' };
    assert.equal((await config({ env })).maxOldSpaceSize, 2048);
    assert.equal((await config({ env: { ...env, MAX_OLD_SPACE_SIZE: '700' } })).maxOldSpaceSize, 700);
    assert.equal(
      (await config({ files: { '/srv/cwd/.env': 'NODE_OPTIONS="--max_old_space_size 900"' } }))
        .maxOldSpaceSize,
      900,
    );
  });
});

describe('a command of a package', () => {
  const next = { '/srv/cwd/node_modules/next/package.json': '{"bin":{"next":"dist/bin/next"}}' };
  const react = {
    '/srv/package.json': '{"dependencies":{"@react-router/serve":"7"}}',
    '/srv/node_modules/@react-router/serve/package.json': '{"bin":{"react-router-serve":"bin.cjs"}}',
  };

  test('is the file that the "bin" of the package of that name gives', async () => {
    const { app } = await config({ flags: { app: 'next' }, files: next });
    assert.equal(app, '/srv/cwd/node_modules/next/dist/bin/next');
  });

  test('is found in the packages that a package.json further up names, by a single "bin" too', async () => {
    const file = '/srv/node_modules/@react-router/serve/bin.cjs';
    assert.equal((await config({ flags: { app: 'react-router-serve' }, files: react })).app, file);
    const single = { ...react, '/srv/node_modules/@react-router/serve/package.json': '{"bin":"bin.cjs"}' };
    assert.equal((await config({ flags: { app: 'serve' }, files: single })).app, file);
  });

  test('does not come before a file or a folder of that name', async () => {
    for (const files of [
      { ...next, '/srv/cwd/next': '' },
      { ...next, '/srv/cwd/next': fileError('EISDIR', 'next') },
    ])
      assert.equal((await config({ flags: { app: 'next' }, files })).app, '/srv/cwd/next');
  });

  test('that no package has is a file that is not there', async () => {
    assert.equal((await config({ flags: { app: 'nuxt' }, files: next })).app, '/srv/cwd/nuxt');
  });
});
