import assert from 'node:assert/strict';
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import test, { type TestContext } from 'node:test';
import { ConnectFailed, type Connection, openConnection } from '../../../support/http-connection.js';
import { waitFor } from '../../../support/wait.js';
import { type Draining, type DrainSetup, drain, listening, servers } from '../tracking.js';

const timeout = 5_000;
const head = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';

interface App {
  readonly front: number;
  /** Where the front has its answers from. */
  readonly behind: number;
  /** Requests at the front that wait until the test has them answered. */
  readonly waiting: (() => void)[];
  drain(setup?: DrainSetup): Draining;
}

/** A front that answers with what a second server of the same process says. */
async function proxy(t: TestContext): Promise<App> {
  const inner = createServer((_req, res) => res.end('from behind'));
  const behind = await listening(t, inner);
  const waiting: (() => void)[] = [];
  const pass = (response: ServerResponse): void => {
    get({ port: behind, agent: false }, (answer: IncomingMessage) => answer.pipe(response)).on('error', () =>
      response.writeHead(502).end(),
    );
  };
  const front = await listening(
    t,
    createServer((_req, res) => void waiting.push(() => pass(res))),
  );
  const isBehind = (server: Server): boolean => (server.address() as AddressInfo).port === behind;
  const beside: DrainSetup['beside'] = (all) => new Set(all.filter(isBehind));
  return { front, behind, waiting, drain: (setup) => drain(t, { linger: 50, ...setup, beside }) };
}

async function open(t: TestContext, port: number): Promise<Connection> {
  const connection = await openConnection({ port }, timeout);
  t.after(() => connection.close());
  return connection;
}

function isRefused(port: number): Promise<boolean> {
  return openConnection({ port }, timeout).then(
    (connection) => {
      connection.close();
      return false;
    },
    (error) => error instanceof ConnectFailed && error.refused,
  );
}

test('a server behind the service answers until the requests of the service are done, and then closes', async (t) => {
  const { front, behind, waiting, ...app } = await proxy(t);
  const client = await open(t, front);
  const answer = client.request(head, timeout);
  await waitFor('the request', () => waiting.length === 1);
  const draining = app.drain();
  await waitFor('the front to close', () => servers.listening().length === 1);
  assert.deepEqual([await isRefused(front), await isRefused(behind)], [true, false]);
  waiting[0]?.();
  const { status, body, closing } = await answer;
  assert.deepEqual([status, body, closing], [200, 'from behind', true]);
  await draining.done;
  assert.equal(await isRefused(behind), true);
});

test('requests that were kept waiting until every listener is closed find the server behind', async (t) => {
  const { front, waiting, ...app } = await proxy(t);
  const client = await open(t, front);
  let release = (): void => {};
  const closed = new Promise<void>((resolve) => {
    release = resolve;
  });
  const draining = app.drain({ last: true, closed: () => closed });
  const answer = client.request(head, timeout);
  await waitFor('the front to close', () => servers.listening().length === 1);
  assert.equal(waiting.length, 0);
  release();
  await waitFor('the request', () => waiting.length === 1);
  waiting[0]?.();
  assert.equal((await answer).body, 'from behind');
  await draining.done;
});

test('a client of the server behind that comes last is answered and told to close', async (t) => {
  const { front, behind, waiting, ...app } = await proxy(t);
  const held = (await open(t, front)).request(head, timeout);
  await waitFor('the request', () => waiting.length === 1);
  const draining = app.drain({ last: true, linger: 5_000 });
  await waitFor('the front to close', () => servers.listening().length === 1);
  const client = await open(t, behind);
  waiting[0]?.();
  await held;
  await waitFor('the server behind to close', () => servers.listening().length === 0);
  assert.deepEqual((await client.request(head, timeout)).closing, true);
  await draining.done;
});

test('a service that does not end leaves half of the time to the servers behind it', async (t) => {
  const { front, behind, waiting, ...app } = await proxy(t);
  const client = await open(t, front);
  const answer = client.request(head, timeout);
  await waitFor('the request', () => waiting.length === 1);
  const draining = app.drain({ timeout: 200 });
  await waitFor('every listener to close', () => servers.listening().length === 0);
  assert.deepEqual([await isRefused(behind), draining.over()], [true, false]);
  waiting[0]?.();
  assert.equal((await answer).status, 502);
  await draining.done;
});
