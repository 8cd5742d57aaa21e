import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { pack } from '../npm/tarball.js';

describe('the tarball for npm', () => {
  test('holds what a service is made of, and nothing else', () => {
    const { files } = pack();
    for (const needed of [
      'dist/cli/main.js',
      'dist/worker/main.js',
      'dist/build-id',
      'dist/third-party-licenses.txt',
      'systemd/rom-agent.service',
      'launchd/org.rom-agent.plist',
      'packaging/man/rom-agent.1',
      'packaging/completion/rom-agent.bash',
      'packaging/rom-agent.toml',
      'docs/reference/settings.md',
      'LICENSE',
      'README.md',
    ])
      assert.ok(files.includes(needed), needed);
    // The types of what apps import come along.
    const allowed =
      /^(dist\/(?!.*\.(map|ts)$)|dist\/app-api\/(index|socket-io)\.d\.ts$|systemd\/|launchd\/|docs\/.*\.md$|packaging\/(man|completion)\/|packaging\/(newsyslog\.conf|rom-agent\.toml)$|[A-Z]+(\.pt)?(\.md)?$|package\.json$)/;
    assert.deepEqual(
      files.filter((path) => !allowed.test(path)),
      [],
    );
  });
});
