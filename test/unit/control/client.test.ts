import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connectControl } from '../../../src/control/client.js';
import { createLineReader } from '../../../src/control/line-reader.js';
import { examples as answers } from '../../../src/control/openapi.js';
import type { ControlEvent, ReloadLine } from '../../../src/protocol/control-api.js';
import { waitFor } from '../../support/wait.js';
import { acceptedReload, record, recordEvent, stepEvent } from './fake-commands.js';
import { folder, opened, staleSocket, strangerAt } from './place.js';

const options = { by: 'alice', soak: true, rollback: true };
const nobodyChild = fileURLToPath(new URL('./nobody-child.js', import.meta.url));
const needsRoot = process.geteuid?.() === 0 ? false : 'needs root, to become somebody else';

/** An HTTP server that is no rom-agent. */
async function otherHttp(t: TestContext, handle: RequestListener): Promise<string> {
  const path = join(folder(t), 'other.sock');
  const server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return path;
}

describe('the client', () => {
  test('asks and is answered', async (t) => {
    const fake = await opened(t);
    const client = connectControl({ path: fake.path });
    assert.deepEqual(await client.status(), fake.commands.status());
    assert.deepEqual(await client.history(), fake.commands.history());
    assert.deepEqual(await client.config(), fake.commands.config());
    assert.equal(await client.abort('alice'), 'so be it');
    assert.equal(await client.scale({ add: 2 }, 'alice'), 'so be it');
    assert.equal(await client.restart(2, 'alice'), 'so be it');
    assert.deepEqual(await client.stack(1, 'alice'), answers.Stack);
    assert.deepEqual(await client.profile(1, 5, 'alice'), answers.EvidenceFile);
    assert.deepEqual(await client.heapSnapshot(1, 'alice'), answers.EvidenceFile);
    assert.deepEqual(await client.notify('alice'), answers.Notified);
    await client.stop('alice');
    assert.deepEqual(fake.calls, [
      ['abort', 'alice'],
      ['scale', { add: 2 }, 'alice'],
      ['restart', 2, 'alice'],
      ['stack', 1, 'alice'],
      ['profile', 1, 5, 'alice'],
      ['heapSnapshot', 1, 'alice'],
      ['notify', 'alice'],
      ['stop', 'alice'],
    ]);
  });

  test('waits for evidence as long as it may take', async (t) => {
    const fake = await opened(t);
    const { profile } = fake.commands;
    fake.commands.profile = async (...call) => {
      await sleep(300);
      return profile(...call);
    };
    const client = connectControl({ path: fake.path, timeout: 50 });
    assert.deepEqual(await client.profile(1, 1, 'alice'), answers.EvidenceFile);
  });

  test('follows a reload to its record', async (t) => {
    const fake = await opened(t);
    const lines: ReloadLine[] = [];
    const result = connectControl({ path: fake.path }).reload(options, (line) => lines.push(line));
    await waitFor('the answer', () => lines.length === 1);
    fake.emit(stepEvent);
    fake.emit(recordEvent);
    assert.deepEqual(await result, record);
    assert.deepEqual(lines, [{ type: 'answer', ...acceptedReload }, stepEvent, recordEvent]);
    assert.deepEqual(fake.calls, [['reload', options]]);
  });

  test('says why a reload is refused, with 75', async (t) => {
    const fake = await opened(t);
    fake.reload = async () => ({ accepted: false, reason: 'a reload is under way' });
    await assert.rejects(
      connectControl({ path: fake.path }).reload(options, () => {}),
      { name: 'RomAgentError', exitCode: 75, message: 'a reload is under way' },
    );
  });

  test('gives the sentence of the daemon for bad input, with 64', async (t) => {
    const { path } = await opened(t);
    await assert.rejects(connectControl({ path }).scale({ to: 0 }, 'alice'), {
      exitCode: 64,
      message: 'to: 0 is not right: expected an integer from 1 to 1024',
    });
  });

  test('says so where the daemon goes away in the middle of a reload, with 75', async (t) => {
    const fake = await opened(t);
    const lines: ReloadLine[] = [];
    const result = connectControl({ path: fake.path }).reload(options, (line) => lines.push(line));
    const failure = assert.rejects(result, { exitCode: 75, message: /disconnected before it answered/ });
    await waitFor('the answer', () => lines.length === 1);
    await fake.server.close();
    await failure;
  });

  test('says so where the connection is cut in the middle of an answer, with 75', async (t) => {
    const path = await otherHttp(t, (_, response) => {
      response.writeHead(200, { 'Rom-Agent-Control': 'v1', 'Content-Length': 100 });
      response.write('{"status":', () => response.destroy());
    });
    await assert.rejects(connectControl({ path }).status(), { exitCode: 75 });
  });

  test('passes on what its listener throws', async (t) => {
    const { path } = await opened(t);
    const result = connectControl({ path }).reload(options, () => {
      throw new RangeError('of the listener');
    });
    await assert.rejects(result, { name: 'RangeError', message: 'of the listener' });
  });

  test('follows events until it is told to stop, or the daemon stops', async (t) => {
    const fake = await opened(t);
    const client = connectControl({ path: fake.path });
    const stop = new AbortController();
    const events: ControlEvent[] = [];
    const first = client.events((event) => events.push(event), stop.signal);
    const second = client.events(() => {});
    await waitFor('two subscriptions', () => fake.listeners.size === 2);
    fake.emit(stepEvent);
    await waitFor('the event', () => events.length === 1);
    assert.deepEqual(events, [stepEvent]);
    stop.abort();
    await first;
    await waitFor('one subscription', () => fake.listeners.size === 1);
    await fake.server.close();
    await second;
    await client.events(() => {}, AbortSignal.abort());
  });

  test('says that no daemon runs, and how to point to another, with 69', async (t) => {
    const home = folder(t);
    const path = join(home, 'control.sock');
    await assert.rejects(connectControl({ path }).status(), {
      exitCode: 69,
      message: `the service is not running: there is no control socket ${path}; start the service, or point to another control socket with --control-socket`,
    });
    await staleSocket(t, path);
    await assert.rejects(connectControl({ path }).status(), {
      exitCode: 69,
      message: `the service is not running: nothing answers at the control socket ${path}; start the service, or point to another control socket with --control-socket`,
    });
    writeFileSync(join(home, 'file'), '');
    await assert.rejects(connectControl({ path: join(home, 'file') }).status(), {
      exitCode: 69,
      message: /file is not a socket; /,
    });
  });

  test('refuses a path that would be cut off, with 64', async () => {
    const path = `/tmp/${'x'.repeat(200)}`;
    await assert.rejects(connectControl({ path }).status(), {
      exitCode: 64,
      message: /has a path of 205 bytes/,
    });
  });

  test('says whose the socket is where it may not use it, with 77', { skip: needsRoot }, async (t) => {
    const { path } = await opened(t);
    const asNobody = () => spawnSync(process.execPath, [nobodyChild, 'ask', path], { encoding: 'utf8' });
    const closed = asNobody();
    assert.equal(closed.status, 77);
    assert.match(closed.stderr, /this user may not enter the directory .*; use sudo/);
    chmodSync(join(path, '..'), 0o755);
    const ofRoot = asNobody();
    assert.equal(ofRoot.status, 77);
    assert.match(ofRoot.stderr, /no permission to use the control socket .*control\.sock; use sudo/);
    chownSync(path, 0, 4);
    const ofGroup = asNobody();
    assert.equal(ofGroup.status, 77);
    assert.match(ofGroup.stderr, /it belongs to the group adm; join the group, or use sudo/);
  });

  for (const [what, handle] of [
    ['another web server', (_, response) => response.end('{}')],
    [
      'a daemon of another version',
      (_, response) => response.writeHead(200, { 'Rom-Agent-Control': 'v2' }).end('{}'),
    ],
    ['JSON that is cut', (_, response) => response.writeHead(200, { 'Rom-Agent-Control': 'v1' }).end('{"a"')],
    [
      'JSON of another form',
      (_, response) => response.writeHead(200, { 'Rom-Agent-Control': 'v1' }).end('[]'),
    ],
    ['another route', (_, response) => response.writeHead(404, { 'Rom-Agent-Control': 'v1' }).end('{}')],
  ] as const satisfies readonly (readonly [string, RequestListener])[]) {
    test(`ends with 69 where the answer is that of ${what}`, async (t) => {
      const path = await otherHttp(t, handle);
      await assert.rejects(connectControl({ path }).status(), { name: 'RomAgentError', exitCode: 69 });
      await assert.rejects(connectControl({ path }).abort('alice'), { name: 'RomAgentError', exitCode: 69 });
    });
  }

  test('ends with 69 where something other than HTTP answers', async (t) => {
    const path = join(folder(t), 'echo.sock');
    await strangerAt(t, path, (socket) => socket.end('220 mail.example ESMTP\r\n'));
    await assert.rejects(connectControl({ path }).status(), {
      exitCode: 69,
      message: /is not rom-agent of this version: it sent something other than HTTP/,
    });
  });

  test('waits no longer than its limit, for the first byte and for the last', async (t) => {
    const silent = await otherHttp(t, () => {});
    const halting = await otherHttp(t, (_, response) => {
      response.writeHead(200, { 'Rom-Agent-Control': 'v1' }).write('{');
    });
    for (const path of [silent, halting]) {
      await assert.rejects(connectControl({ path, timeout: 50 }).status(), {
        exitCode: 75,
        message: `the daemon at ${path} has not answered for 50 ms; it may be stopped or overloaded`,
      });
    }
  });
});

describe('a line reader', () => {
  test('puts lines together that arrive in pieces, and leaves blank ones out', () => {
    const lines: string[] = [];
    const read = createLineReader((line) => lines.push(line));
    for (const chunk of ['on', 'e\ntw', 'o\n\n', '\r\n\nthree', '\nrest']) read(chunk);
    assert.deepEqual(lines, ['one', 'two', 'three']);
  });
});
