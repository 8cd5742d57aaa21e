import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, type TestContext, test } from 'node:test';
import { type Payload, targetsOf } from '../../../src/notify/deliver.js';
import { waitFor } from '../../support/wait.js';

const payload: Payload = {
  version: 1,
  type: 'rollback',
  text: 'shop on web1: rolled back',
  service: 'shop',
  host: 'web1',
  atMs: 1,
  message: 'rolled back',
  cause: 'no\0 database; $(rm -rf /)',
  details: { generation: 7 },
  untold: 0,
};
const none = {
  command: [] as readonly string[],
  webhook: null as string | null,
  webhookFile: null as string | null,
  tokenFile: null as string | null,
  interval: 1,
  unhealthyAfter: 1,
};
const never = new AbortController().signal;

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'rom-agent-deliver-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function script(t: TestContext, lines: string): string {
  const path = join(folder(t), 'page.sh');
  writeFileSync(path, `#!/bin/sh\n${lines}\n`);
  chmodSync(path, 0o755);
  return path;
}

async function webhook(t: TestContext, status: number, headers: Record<string, string> = {}) {
  const got: { headers: IncomingHttpHeaders; method: string | undefined; body: unknown }[] = [];
  const server = createServer(async (request: IncomingMessage, response) => {
    got.push({
      headers: request.headers,
      method: request.method,
      body: JSON.parse((await text(request)) || 'null'),
    });
    response.writeHead(status, headers).end('thanks');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/services/SECRET`, got };
}

describe('a command', () => {
  test('gets the payload on standard input, and the short facts in its environment, without a shell', async (t) => {
    const out = join(folder(t), 'out');
    const program = script(
      t,
      `cat > ${out}.json; printf '%s|%s|%s' "$ROM_NOTIFY_TYPE" "$ROM_NOTIFY_CAUSE" "$1" > ${out}`,
    );
    const [target] = targetsOf({ ...none, command: [program, '$HOME; a b'] });
    await target?.deliver(payload, never);
    assert.deepEqual(JSON.parse(readFileSync(`${out}.json`, 'utf8')), payload);
    assert.equal(readFileSync(out, 'utf8'), 'rollback|no database; $(rm -rf /)|$HOME; a b');
  });

  test('that fails is told with what it said, and tried again', async (t) => {
    const [target] = targetsOf({ ...none, command: [script(t, 'echo no route >&2; exit 3')] });
    await assert.rejects(target?.deliver(payload, never) ?? Promise.resolve(), {
      message: 'it ended with status 3: no route',
      isLasting: false,
    });
  });

  test('that is not there is not tried again', async () => {
    const [target] = targetsOf({ ...none, command: ['/nowhere/page'] });
    await assert.rejects(target?.deliver(payload, never) ?? Promise.resolve(), { isLasting: true });
  });

  test('that does not end is killed when the service ends', async (t) => {
    const pid = join(folder(t), 'pid');
    const [target] = targetsOf({ ...none, command: [script(t, `echo $$ > ${pid}; exec sleep 600`)] });
    const ending = new AbortController();
    const delivery = target?.deliver(payload, ending.signal) ?? Promise.resolve();
    delivery.catch(() => {});
    await waitFor('the command', () => existsSync(pid) && readFileSync(pid, 'utf8').includes('\n'));
    ending.abort();
    await assert.rejects(delivery, { message: 'the service ends' });
    const number = Number(readFileSync(pid, 'utf8'));
    await waitFor('its end', () => {
      try {
        return process.kill(number, 0) && false;
      } catch {
        return true;
      }
    });
  });
});

describe('a webhook', () => {
  test('gets the payload as JSON, with the token from its file', async (t) => {
    const { url, got } = await webhook(t, 204);
    const tokenFile = join(folder(t), 'token');
    writeFileSync(tokenFile, 'abc123\n');
    const [target] = targetsOf({ ...none, webhook: url, tokenFile });
    assert.equal(target?.name, `the webhook at ${new URL(url).origin}`);
    await target?.deliver(payload, never);
    assert.deepEqual(got[0]?.body, payload);
    assert.deepEqual(
      [got[0]?.method, got[0]?.headers['content-type'], got[0]?.headers.authorization],
      ['POST', 'application/json', 'Bearer abc123'],
    );
  });

  test('may have its URL in a file, of which only the path is told', async (t) => {
    const { url, got } = await webhook(t, 200);
    const webhookFile = join(folder(t), 'url');
    writeFileSync(webhookFile, `${url}\n`);
    const [target] = targetsOf({ ...none, webhookFile });
    assert.equal(target?.name, `the webhook at the URL in ${webhookFile}`);
    await target?.deliver(payload, never);
    assert.equal(got.length, 1);
    writeFileSync(webhookFile, 'SECRET\n');
    const refused = target?.deliver(payload, never) ?? Promise.resolve();
    await assert.rejects(refused, (error: Error) => {
      assert.match(error.message, /does not hold a URL/);
      assert.doesNotMatch(error.message, /SECRET/);
      return true;
    });
  });

  for (const [status, isLasting] of [
    [500, false],
    [503, false],
    [429, false],
    [404, true],
    [401, true],
    // Not followed: the token is for this host alone.
    [302, true],
  ] as const) {
    test(`that answers ${status} is ${isLasting ? 'not ' : ''}tried again`, async (t) => {
      const { url, got } = await webhook(
        t,
        status,
        status === 302 ? { Location: 'http://127.0.0.1:1/' } : {},
      );
      const [target] = targetsOf({ ...none, webhook: url });
      const refused = target?.deliver(payload, never) ?? Promise.resolve();
      await assert.rejects(refused, { message: `it answered ${status}`, isLasting });
      assert.equal(got.length, 1);
    });
  }

  test('that nobody answers is tried again, and its secret is not in the reason', async () => {
    const [target] = targetsOf({ ...none, webhook: 'http://127.0.0.1:1/SECRET' });
    await assert.rejects(target?.deliver(payload, never) ?? Promise.resolve(), (error: Error) => {
      assert.equal('isLasting' in error && error.isLasting, false);
      assert.doesNotMatch(error.message, /SECRET/);
      return true;
    });
  });
});
