import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadConfig } from '../../../src/config/load.js';
import { ConfigError } from '../../../src/errors.js';
import { adminPlaceOf } from '../../../src/protocol/admin-process.js';
import { loadInput } from '../../support/load-input.js';

/** What is wrong with these flags; null: nothing. */
async function complaint(flags: Readonly<Record<string, string>>): Promise<string | null> {
  try {
    await loadConfig(loadInput({ flags }));
    return null;
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.message;
  }
}

describe('the address of the admin server', () => {
  test('is one of the loopback, with a port, or a unix socket', async () => {
    for (const admin of [
      '127.0.0.1:9464',
      'localhost:9464',
      '[::1]:9464',
      '127.9.9.9:0',
      '/run/rom-agent/admin.sock',
    ])
      assert.equal(await complaint({ admin }), null, admin);
    for (const admin of [
      '9464',
      '127.0.0.1',
      '127.0.0.1:',
      '127.0.0.1:65536',
      '::1:9464',
      '[::1]',
      'admin.sock',
      'a b:1',
      '',
    ])
      assert.match(
        (await complaint({ admin })) ?? 'nothing',
        /expected an address with a port, such as "127\.0\.0\.1:9464"/,
        admin,
      );
  });

  test('that other machines reach is refused without a token', async () => {
    for (const admin of [
      '0.0.0.0:9464',
      '[::]:9464',
      '10.0.0.5:9464',
      'shop.example:9464',
      '127.0.0.1.example:9464',
    ]) {
      assert.match(
        (await complaint({ admin })) ?? 'nothing',
        /^admin: .*expected a loopback address such as "127\.0\.0\.1:9464", .*for which admin_token_file has to be set/,
        admin,
      );
      assert.equal(await complaint({ admin, adminTokenFile: '/etc/rom-agent/admin-token' }), null, admin);
    }
  });

  test('is its own', async () => {
    assert.match(
      (await complaint({ admin: '127.0.0.1:3000', port: '3000' })) ?? 'nothing',
      /expected another port than that of the service, 3000/,
    );
    assert.match(
      (await complaint({ admin: '/run/c.sock', controlSocket: '/run/c.sock' })) ?? 'nothing',
      /expected a path of its own/,
    );
    assert.match(
      (await complaint({ admin: `/${'x'.repeat(200)}` })) ?? 'nothing',
      /a path of at most \d+ bytes/,
    );
  });

  test('is taken apart', () => {
    assert.deepEqual(adminPlaceOf('[::1]:9464'), { kind: 'tcp', host: '::1', port: 9464 });
    assert.deepEqual(adminPlaceOf('localhost:0'), { kind: 'tcp', host: 'localhost', port: 0 });
    assert.deepEqual(adminPlaceOf('/run/a.sock', 0o660), { kind: 'path', path: '/run/a.sock', mode: 0o660 });
  });
});
