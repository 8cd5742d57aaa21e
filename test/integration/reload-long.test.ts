import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { waitFor } from '../support/wait.js';
import { onlyWorkers, recordsOf, reload, serveReloading } from './releases.js';
import {
  begun,
  entriesOf,
  patience,
  problems,
  request,
  type Service,
  stats,
  stopped,
  temporaryDirectory,
  workbench,
} from './service.js';

describe('what lasts longer than a reload', { timeout: 1_800_000 }, () => {
  it('a download is finished by the worker that began it, and is in the record', async (t) => {
    const service = await serveReloading(t, { app: workbench });
    const end = join(temporaryDirectory(t), 'end');
    const { pid, whole } = await begun(service, `/until?file=${end}`);
    assert.equal((await reload(service)).verdict, 'done');
    const { workers } = await stats(service);
    assert.equal(workers.find((worker) => worker.pid === pid)?.phase, 'draining');
    writeFileSync(end, '');
    assert.equal(await whole, `${pid}\ndone\n`);
    await onlyWorkers(service);
    const { lastReload } = await stats(service);
    assert.deepEqual([lastReload?.moved, lastReload?.lost], [1, 0]);
    assert.deepEqual(problems(service.daemon), []);
    await stopped(service);
    assert.deepEqual(recordsOf(service), [lastReload]);
  });

  it('one that lasts longer than the drain is cut, and counted as lost', async (t) => {
    const service = await serveReloading(t, { app: workbench, env: { ROM_AGENT_DRAIN_TIMEOUT: '1s' } });
    const { whole } = await begun(service, '/hang');
    assert.equal((await reload(service)).verdict, 'done');
    await assert.rejects(whole);
    await onlyWorkers(service);
    const { lastReload } = await stats(service);
    assert.deepEqual([lastReload?.moved, lastReload?.lost], [1, 1]);
    await stopped(service);
  });

  it('a WebSocket is told to go, and its worker ends with it', async (t) => {
    const service = await serveReloading(t, { app: workbench });
    const { frames } = await webSocket(t, service);
    assert.equal((await reload(service)).verdict, 'done');
    // FIN and opcode 8, two bytes: 1001, going away (RFC 6455, section 7.4.1).
    const goingAway = Buffer.from([0x88, 0x02, 0x03, 0xe9]);
    await waitFor('the Close frame', () => frames().length >= goingAway.length, { timeout: patience });
    assert.deepEqual(frames(), goingAway);
    await stopped(service);
  });

  it('makes no heap of old workers: the oldest of more than two is ended', async (t) => {
    const env = { WORKERS: '1', ROM_AGENT_DRAIN_TIMEOUT: '60s' };
    const service = await serveReloading(t, { app: workbench, env });
    const held: { pid: number; over: boolean }[] = [];
    for (let round = 1; round <= 4; round += 1) {
      const { pid, whole } = await begun(service, '/hang');
      const entry = { pid, over: false };
      held.push(entry);
      void whole.catch(() => {
        entry.over = true;
      });
      assert.equal((await reload(service)).verdict, 'done');
      const { workers } = await stats(service);
      const old = workers.filter(({ phase }) => phase === 'draining');
      assert.deepEqual(
        old.map((worker) => worker.pid),
        held.slice(-2).map((worker) => worker.pid),
      );
    }
    const capped = await entriesOf(service.daemon, /^3 workers 1 drain at once: the oldest is ended$/, 2);
    assert.deepEqual(
      capped.map(({ workerPid, inFlight }) => [workerPid, inFlight]),
      held.slice(0, 2).map(({ pid }) => [pid, 1]),
    );
    await waitFor('the end of theirs', () => held.filter(({ over }) => over).length === 2, {
      timeout: patience,
    });
    assert.deepEqual(
      held.map(({ over }) => over),
      [true, true, false, false],
    );
    service.daemon.killGroup('SIGKILL');
  });
});

async function webSocket(
  t: TestContext,
  { port }: Service,
): Promise<{ socket: Socket; frames: () => Buffer }> {
  const socket = connect({ host: '127.0.0.1', port });
  t.after(() => socket.destroy());
  let received = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    const frame = frames();
    // A client answers a Close frame with one (section 5.5.1).
    if (frame[0] === 0x88) socket.end(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9]));
  });
  const head = () => received.indexOf('\r\n\r\n');
  const frames = () => (head() < 0 ? Buffer.alloc(0) : received.subarray(head() + 4));
  const fields = 'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n';
  socket.write(request('/', `${fields}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n`));
  await waitFor('the handshake', () => head() >= 0, { timeout: patience });
  return { socket, frames };
}
