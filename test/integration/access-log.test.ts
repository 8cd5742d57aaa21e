import assert from 'node:assert/strict';
import { readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ask } from '../support/net.js';
import { waitFor } from '../support/wait.js';
import { entriesOf, fixture, patience, patient, serve, stopped, temporaryDirectory } from './service.js';

const app = fixture('integration/sick.mjs');

function linesOf(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n').slice(0, -1);
  } catch {
    return [];
  }
}

describe('the access log', { timeout: 1_800_000 }, () => {
  it('is a file in the format combined, which is begun again once it was rotated', async (t) => {
    const file = join(temporaryDirectory(t), 'access.log');
    const service = await serve(t, {
      app,
      env: { ...patient, ROM_AGENT_ACCESS_LOG_FORMAT: 'combined', ROM_AGENT_ACCESS_LOG_FILE: file },
    });
    const { headers } = await ask({ port: service.port, path: '/orders/17?token=secret' });
    assert.match(String(headers['x-request-id']), /^[\da-f-]{36}$/);
    const has = (path: string) => () => Promise.resolve(linesOf(file).some((line) => line.includes(path)));
    const until = { until: (found: boolean) => found, timeout: patience };
    await waitFor('its line', has('/orders/:id'), until);
    assert.match(
      linesOf(file)[0] ?? '',
      /^127\.0\.0\.1 - - \[\d\d\/\w{3}\/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET \/orders\/:id HTTP\/1\.1" 200 \d+ "-" "[^"]*"$/,
    );
    renameSync(file, `${file}.1`);
    await waitFor(
      'a line in a new file',
      async () => {
        await ask({ port: service.port, path: '/later' });
        return linesOf(file).some((line) => line.includes('/later'));
      },
      until,
    );
    await stopped(service);
  });

  it("is entries of the service's log, without the worker's requests to itself", async (t) => {
    const service = await serve(t, { app, env: { ...patient, ROM_AGENT_ACCESS_LOG_FORMAT: 'json' } });
    await ask({ port: service.port, path: '/usual' });
    const [entry = assert.fail()] = await entriesOf(service.daemon, /^GET \/usual 200$/, 1);
    const { level, status, method, path, client } = entry as typeof entry & Record<string, unknown>;
    assert.deepEqual([level, status, method, path, client], ['info', 200, 'GET', '/usual', '127.0.0.1']);
    await stopped(service);
  });
});
