import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { parse } from 'smol-toml';
import { loadConfig } from '../../../src/config/load.js';
import { keys } from '../../../src/settings/settings.js';
import { configurationDoc, exampleToml } from '../../support/configuration-doc.js';
import { loadInput } from '../../support/load-input.js';

/** Run from the repository's root, as `make test` does. With UPDATE_DOCS=1 the files are written anew. */
const documents = {
  'docs/reference/settings.md': configurationDoc,
  'packaging/rom-agent.toml': exampleToml,
};

describe('the documents', () => {
  for (const [path, generate] of Object.entries(documents)) {
    test(`${path} says what the table of settings says`, () => {
      if (process.env.UPDATE_DOCS === '1') writeFileSync(path, generate());
      assert.equal(
        readFileSync(path, 'utf8'),
        generate(),
        'run the tests with UPDATE_DOCS=1 to write it anew',
      );
    });
  }

  test('the example file sets nothing as it is shipped', () => {
    assert.deepEqual({ ...parse(readFileSync('packaging/rom-agent.toml', 'utf8')) }, {});
  });

  test('every line of the example file is right when its "#" is removed, and is the default', async () => {
    const shipped = readFileSync('packaging/rom-agent.toml', 'utf8');
    const text = shipped.replaceAll(/^#(?=[[a-z])/gm, '');
    const uncommented = await loadConfig(loadInput({ files: { '/etc/rom-agent/rom-agent.toml': text } }));
    const defaults = await loadConfig(loadInput());
    for (const key of keys) {
      assert.match(uncommented.origins[key], /^\/etc\/rom-agent\/rom-agent\.toml|^mode cluster$/, key);
    }
    const withoutExamples = text.replaceAll(/^# Default: .*\n.*\n/gm, '');
    const { config } = await loadConfig(
      loadInput({ files: { '/etc/rom-agent/rom-agent.toml': withoutExamples } }),
    );
    assert.deepEqual(config, defaults.config);
  });
});
