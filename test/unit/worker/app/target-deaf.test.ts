import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { type TestContext, test } from 'node:test';
import { watchDeaf } from '../../../../src/worker/app/target.js';

async function open(t: TestContext): Promise<Server> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.listening && server.close());
  return server;
}

/** A worker with a server on its port and one beside it. */
async function worker(t: TestContext) {
  const [main, beside] = [await open(t), await open(t)];
  const address = main.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const said: string[] = [];
  let look = (): void => {};
  const state = { isServing: true, isWatched: true, pending: 0 };
  watchDeaf({
    servers: {
      listening: () => [main, beside].filter(({ listening }) => listening),
      pending: () => state.pending,
    },
    listen: { kind: 'tcp', port, host: null },
    isServing: () => state.isServing,
    onDeaf: ({ message }) => said.push(message),
    every: (_interval, act) => {
      look = act;
      return () => {
        state.isWatched = false;
      };
    },
  });
  return { main, port, said, state, look: () => look() };
}

test('an app that closes the server on its port has a deaf worker, whatever else listens', async (t) => {
  const { main, port, said, look } = await worker(t);
  look();
  main.close();
  look();
  assert.deepEqual(said, [], 'it may open it again');
  look();
  assert.deepEqual(said, [
    `the app has closed its server on port ${port} and goes on: nobody can reach this worker`,
  ]);
});

test('a server that opens again in between is fine', async (t) => {
  const { main, said, state, look } = await worker(t);
  main.close();
  look();
  state.pending = 1;
  look();
  assert.deepEqual(said, []);
});

test('a worker that drains closes its servers itself', async (t) => {
  const { main, said, state, look } = await worker(t);
  state.isServing = false;
  main.close();
  look();
  look();
  assert.deepEqual([said, state.isWatched], [[], false]);
});
