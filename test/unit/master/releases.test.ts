import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadConfig } from '../../../src/config/load.js';
import { createReleases } from '../../../src/master/releases.js';
import { loadInput } from '../../support/load-input.js';

const etc = '/etc/rom-agent/rom-agent.toml';

/** Fake releases: a file of settings and a table of symbolic links, both of which may change. */
async function fakeReleases({ toml = '', links = {} }: { toml?: string; links?: Record<string, string> }) {
  const world = { toml, links, env: {} as NodeJS.ProcessEnv };
  const load = () => loadConfig(loadInput({ files: { [etc]: world.toml } }));
  const releases = createReleases({
    loaded: await load(),
    load,
    cwd: '/srv/app/releases/1',
    env: { PWD: '/srv/app/current' },
    realpath: (path) => {
      const target = world.links[path];
      if (target === undefined) throw Object.assign(new Error('ENOENT'), { code: 'ENOENT' });
      return target;
    },
  });
  return { world, releases };
}

const current = '/srv/app/current';
const appToml = `app = "${current}/server.js"\n`;

function linkTo(release: number): Record<string, string> {
  const dir = `/srv/app/releases/${release}`;
  return { [current]: dir, [`${current}/server.js`]: `${dir}/server.js` };
}

describe('releases', () => {
  test('resolve the app once, so that an older generation stays what it was', async () => {
    const { world, releases } = await fakeReleases({ toml: appToml, links: linkTo(1) });
    world.links = linkTo(2);
    const second = await releases.prepare();
    assert.deepEqual([second.generation, second.config.app], [2, '/srv/app/releases/2/server.js']);
    assert.equal(releases.of(1).config.app, '/srv/app/releases/1/server.js');
  });

  test('have a working directory each where it was reached through a link', async () => {
    const { world, releases } = await fakeReleases({ toml: appToml, links: linkTo(1) });
    world.links = linkTo(2);
    assert.deepEqual(
      [releases.of(1).cwd, (await releases.prepare()).cwd],
      ['/srv/app/releases/1', '/srv/app/releases/2'],
    );
  });

  test('read the settings of workers anew and name what waits for a restart', async () => {
    const { world, releases } = await fakeReleases({});
    world.toml = 'node_env = "staging"\nlinger = "1s"\nport = 4000\nworkers = 3\n[log]\nlevel = "warn"\n';
    const { config, needRestart } = await releases.prepare();
    assert.deepEqual([config.nodeEnv, config.linger], ['staging', 1_000]);
    assert.deepEqual([config.port, config.workers, config.log.level], [3000, 4, 'info']);
    assert.deepEqual(needRestart, ['workers', 'port', 'log.level']);
  });

  test('refuse a configuration that is wrong, and an app that is not there; the next number is not lost', async () => {
    const { world, releases } = await fakeReleases({ toml: appToml, links: linkTo(1) });
    world.toml = 'linger = "soon"\n';
    await assert.rejects(releases.prepare(), /linger.*expected a time/);
    world.toml = appToml;
    world.links = {};
    await assert.rejects(releases.prepare(), /app: there is no file \/srv\/app\/current\/server\.js/);
    world.links = linkTo(2);
    assert.equal((await releases.prepare()).generation, 2);
  });

  test('an app that is not there at the start is left to the worker to complain about', async () => {
    const { releases } = await fakeReleases({ toml: appToml });
    assert.equal(releases.of(1).config.app, `${current}/server.js`);
  });

  test('what is not needed any more is forgotten, the newest never', async () => {
    const { releases } = await fakeReleases({});
    for (let count = 0; count < 3; count++) await releases.prepare();
    releases.keep([2]);
    assert.deepEqual([releases.of(2).generation, releases.of(4).generation], [2, 4]);
    for (const generation of [1, 3]) assert.throws(() => releases.of(generation), /no release/);
  });
});
