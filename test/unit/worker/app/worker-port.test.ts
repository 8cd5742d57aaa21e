import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { describe, test } from 'node:test';
import { isWorkerPort, serversBeside } from '../../../../src/worker/app/target.js';
import { openWorkerPort, workerPortOf } from '../../../../src/worker/app/worker-port.js';
import { ask, freePort } from '../../../support/net.js';
import { listening, servers } from '../tracking.js';

const tcp = (port: number, host: string | null = null) => ({ kind: 'tcp', port, host }) as const;

describe('the port of a worker', () => {
  test('is counted from the first one, on the address of the service or else on the loopback', () => {
    const at = (host: string | null, worker: number | null, workerPorts: number | null = 9_001) =>
      workerPortOf({ workerPorts, listen: tcp(3_000, host) }, worker);
    assert.deepEqual(at(null, 1), { port: 9_001, host: '127.0.0.1' });
    assert.deepEqual(at('10.0.0.7', 3), { port: 9_003, host: '10.0.0.7' });
    assert.equal(at(null, null), null);
    assert.equal(at(null, 1, null), null);
    const path = { kind: 'path', path: '/run/a.sock', mode: null } as const;
    assert.deepEqual(workerPortOf({ workerPorts: 9_001, listen: path }, 2), {
      port: 9_002,
      host: '127.0.0.1',
    });
  });

  test('leads to the server of the app, and closes with it at a drain', async (t) => {
    const server = createServer((_request, response) => response.end('the app'));
    const listen = tcp(await listening(t, server));
    const port = await freePort('127.0.0.1');
    const warnings: string[] = [];
    const open = () =>
      openWorkerPort({
        settings: { workerPorts: port, listen },
        worker: 1,
        servers,
        warn: (message) => void warnings.push(message),
      });
    await open();
    assert.equal((await ask({ port, path: '/' })).text, 'the app');
    const [own] = servers.listening().filter(isWorkerPort);
    t.after(() => own?.close());
    assert.ok(own !== undefined);
    assert.deepEqual([...serversBeside(servers.listening(), listen)], []);
    await open();
    assert.deepEqual(warnings, [
      `worker_ports: cannot listen on 127.0.0.1:${port} (EADDRINUSE): nobody reaches worker 1 alone`,
    ]);
  });
});
