import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settingsVariable, takeSettings } from '../../../src/protocol/settings.js';

test('takeSettings takes the settings out of the environment, so that nobody inherits them', () => {
  const env = {
    [settingsVariable]: '{"worker":3,"listen":{"kind":"tcp","port":3000,"host":null}}',
    PATH: '/bin',
  };
  const { worker, listen } = takeSettings(env);
  assert.equal(worker, 3);
  assert.deepEqual(listen, { kind: 'tcp', port: 3000, host: null });
  assert.deepEqual(env, { PATH: '/bin' });
});

test('takeSettings says what is wrong when a worker is started by hand', () => {
  assert.throws(
    () => takeSettings({}),
    /ROM_AGENT_WORKER is not set: workers are started by the master only/,
  );
});
