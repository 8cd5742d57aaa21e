import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadConfig } from '../../../src/config/load.js';
import { loadInput } from '../../support/load-input.js';

const app = '/srv/shop/server.js';

async function nameOf(env: Readonly<Record<string, string>>, packageJson?: string) {
  const files = {
    [app]: '',
    ...(packageJson === undefined ? {} : { '/srv/shop/package.json': packageJson }),
  };
  const { config, origins } = await loadConfig(
    loadInput({ flags: { app }, env: { REDIS_URL: 'redis://r', ...env }, files }),
  );
  return [config.fleet.name, origins['fleet.name']];
}

describe('the name of a fleet', () => {
  test('is that of the service, so that two services with one Redis share nothing', async () => {
    const packageJson = '{ "name": "shop", "version": "1.0.0" }';
    for (const env of [
      { STATE_DIRECTORY: '/var/lib/rom-agent@cart' },
      { STATE_DIRECTORY: '/var/lib/rom-agent@cart:/var/lib/rom-agent@cart/uploads' },
      { STATE_DIRECTORY: '/var/db/rom-agent.cart' },
      { STATE_DIRECTORY: '/data', RUNTIME_DIRECTORY: '/run/cart' },
      { RUNTIME_DIRECTORY: '/run/user/1000/rom-agent@cart' },
    ]) {
      assert.deepEqual(await nameOf(env, packageJson), ['cart', 'default: name of the service']);
    }
  });

  test("is the app's of a service whose name tells nothing, and without one", async () => {
    for (const env of [{ STATE_DIRECTORY: '/var/lib/rom-agent', RUNTIME_DIRECTORY: '/run/rom-agent' }, {}]) {
      const from = 'default: /srv/shop/package.json';
      assert.deepEqual(await nameOf(env, '{ "name": "shop" }'), ['shop', from]);
      assert.deepEqual(await nameOf(env, '{ "name": "@acme/shop" }'), ['acme-shop', from]);
    }
  });

  test('is rom-agent where nothing has a name, or none that keys in Redis may have', async () => {
    for (const packageJson of [undefined, '{ "private": true }', '{ "name": "{x}" }', '{ "name": 1 }', 'no'])
      assert.deepEqual(await nameOf({}, packageJson), ['rom-agent', 'default']);
  });

  test('is what somebody has set', async () => {
    const env = { ROM_AGENT_FLEET_NAME: 'web', STATE_DIRECTORY: '/var/lib/rom-agent@cart' };
    assert.equal((await nameOf(env, '{ "name": "shop" }'))[0], 'web');
  });
});
