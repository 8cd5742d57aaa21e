import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { connectControl } from '../../src/control/client.js';
import { ask } from '../support/net.js';
import { waitFor } from '../support/wait.js';
import { fixture, patience, patient, serve, stopped, workbench } from './service.js';

describe('an SDK that is loaded by --import and exports its spans at SIGTERM', { timeout: 1_800_000 }, () => {
  it('exports those of the last requests before a reload and before a stop', async (t) => {
    const spans: string[] = [];
    const collector = createServer(async (request, response) => {
      spans.push(...(JSON.parse(await text(request)) as string[]));
      response.end();
    });
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
    t.after(() => collector.close());
    const service = await serve(t, {
      app: workbench,
      env: {
        ...patient,
        WORKERS: '1',
        COLLECTOR: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`,
        ROM_AGENT_NODE_ARGS: `--import=${pathToFileURL(fixture('integration/traces.mjs')).href}`,
      },
    });
    await ask({ port: service.port, path: '/before-the-reload' });
    const client = connectControl({ path: String(service.control) });
    const { verdict } = await client.reload({ by: 'ann', soak: false, rollback: true }, () => {});
    assert.equal(verdict, 'done');
    await waitFor('the span before the reload', () => spans.includes('/before-the-reload'), {
      timeout: patience,
    });
    await ask({ port: service.port, path: '/before-the-stop' });
    await stopped(service);
    assert.ok(spans.includes('/before-the-stop'), spans.join());
  });
});
