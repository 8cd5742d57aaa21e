import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { workingDirectoryOf } from '../../../src/config/app.js';
import { fakeFiles } from '../../support/load-input.js';

const named = '{"name":"shop"}';

interface World {
  readonly app: string | null;
  readonly cwd: string;
  readonly configured?: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly links?: Readonly<Record<string, string>>;
}

function directoryOf({ app, cwd, configured, files = {}, links = {} }: World): string {
  const realpath = (path: string) =>
    Object.entries(links).reduce((from, [link, target]) => from.replace(link, target), path);
  const input = { app, cwd, configured: configured ?? null, readFile: fakeFiles(files), realpath };
  return workingDirectoryOf(input).path;
}

describe('the working directory', () => {
  test('is the folder of the nearest package.json above the app, wherever a service manager started the daemon', () => {
    const files = { '/srv/shop/package.json': named, '/package.json': named };
    for (const cwd of ['/var/lib/rom-agent', '/home/ann'])
      assert.equal(
        directoryOf({ app: '/srv/shop/dist/server.js', cwd, files: { '/srv/shop/package.json': named } }),
        '/srv/shop',
      );
    assert.equal(directoryOf({ app: '/srv/shop/dist/server.js', cwd: '/var/lib', files }), '/var/lib');
  });

  test("is the app's own folder where there is no package.json", () => {
    assert.equal(directoryOf({ app: '/srv/shop/server.js', cwd: '/' }), '/srv/shop');
  });

  test('is not the folder of a package.json that only says of which type the files are', () => {
    const files = { '/srv/shop/package.json': named, '/srv/shop/dist/package.json': '{"type":"commonjs"}' };
    assert.equal(directoryOf({ app: '/srv/shop/dist/server.js', cwd: '/', files }), '/srv/shop');
  });

  test("is where rom-agent was started inside of the app's package, as with node", () => {
    const files = { '/repo/package.json': named, '/repo/packages/api/package.json': named };
    const app = '/repo/packages/api/server.js';
    assert.equal(directoryOf({ app, cwd: '/repo', files }), '/repo');
    assert.equal(directoryOf({ app, cwd: '/repo/packages/api', files }), '/repo/packages/api');
    assert.equal(
      directoryOf({
        app,
        cwd: '/repo/packages/web',
        files: { ...files, '/repo/packages/web/package.json': named },
      }),
      '/repo/packages/api',
    );
  });

  test('is the folder that has the package of a command', () => {
    const files = { '/srv/shop/package.json': named, '/srv/shop/node_modules/next/package.json': named };
    assert.equal(
      directoryOf({ app: '/srv/shop/node_modules/next/dist/bin/next', cwd: '/', files }),
      '/srv/shop',
    );
  });

  test('is of the release that a link leads to', () => {
    const links = { '/srv/current': '/srv/releases/2' };
    const files = { '/srv/releases/2/package.json': named };
    assert.equal(directoryOf({ app: '/srv/current/server.js', cwd: '/', files, links }), '/srv/releases/2');
    assert.equal(
      directoryOf({ app: '/srv/current/server.js', cwd: '/srv/current', links }),
      '/srv/releases/2',
    );
  });

  test('is what is configured, before all', () => {
    const files = { '/srv/shop/package.json': named };
    assert.equal(
      directoryOf({ app: '/srv/shop/a.js', cwd: '/srv/shop', files, configured: '/srv/data' }),
      '/srv/data',
    );
  });

  test('of the built-in app is where rom-agent was started', () => {
    assert.equal(directoryOf({ app: null, cwd: '/var/lib/rom-agent' }), '/var/lib/rom-agent');
  });
});
