import assert from 'node:assert/strict';
import { request } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { startLoad } from '../support/load.js';
import { repoRoot } from '../support/process.js';
import { waitFor } from '../support/wait.js';
import { mixedClients, reload, serveReleases, serveReloading } from './releases.js';
import {
  connectTo,
  fixture,
  lostNothing,
  patience,
  readyPids,
  type Service,
  say,
  stats,
  stopped,
} from './service.js';

/** As much of socket.io-client as is used here. */
interface ChatSocket {
  readonly connected: boolean;
  readonly io: { readonly engine: { readonly transport: { readonly name: string } } };
  on(event: string, listener: (detail: unknown) => void): void;
  timeout(ms: number): { emitWithAck(event: string): Promise<number> };
  connect(): void;
  disconnect(): void;
}
type Connect = (url: string, options: object) => ChatSocket;

const from = process.env.SOCKET_IO_FROM ?? join(repoRoot, 'package.json');
const io = clientLibrary();
const skip = io === null ? 'socket.io and socket.io-client are not installed' : false;

function clientLibrary(): Connect | null {
  try {
    const { resolve } = createRequire(from);
    resolve('socket.io');
    return createRequire(from)('socket.io-client').io as Connect;
  } catch {
    return null;
  }
}

interface Chat {
  readonly socket: ChatSocket;
  /** Why it was not connected, or not any more. */
  readonly problems: string[];
}

function chat(t: TestContext, { port }: Service, options: object): Chat {
  assert.ok(io);
  const problems: string[] = [];
  const url = `http://127.0.0.1:${port}`;
  const socket = io(url, { forceNew: true, withCredentials: true, reconnectionDelay: 50, ...options });
  socket.on('disconnect', (why) => problems.push(`disconnect: ${why}`));
  socket.on('connect_error', (error) => problems.push(`connect: ${words(error)}`));
  t.after(() => socket.disconnect());
  return { socket, problems };
}

function words(error: unknown): string {
  const { message, context } = error as { message: string; context?: { responseText?: string } };
  return `${message} ${context?.responseText ?? ''}`;
}

async function talk({ socket, problems }: Chat): Promise<number> {
  await waitFor('the connection', () => socket.connected, { timeout: patience }).catch((error: Error) => {
    throw new Error(`${error.message}: ${problems.join('; ')}`);
  });
  return socket.timeout(patience).emitWithAck('who');
}

async function serveChat(t: TestContext, sticky: string): Promise<Service> {
  const env = { ROM_AGENT_STICKY: sticky, SOCKET_IO_FROM: from };
  return serveReloading(t, { app: fixture('sticky/chat.mjs'), env });
}

function chats(t: TestContext, service: Service, count: number): Chat[] {
  return Array.from({ length: count }, (_, nth) =>
    chat(t, service, nth % 2 === 0 ? { transports: ['polling'] } : {}),
  );
}

/** Every client is with one worker all the time. @returns those workers */
async function allTalk(clients: readonly Chat[], rounds: number): Promise<Set<number>> {
  const pids = await Promise.all(clients.map(talk));
  for (let round = 1; round < rounds; round += 1) {
    assert.deepEqual(await Promise.all(clients.map(talk)), pids);
  }
  return new Set(pids);
}

describe('sticky sessions', { timeout: 1_800_000 }, () => {
  for (const sticky of ['cookie', 'address']) {
    it(`by ${sticky}: Socket.IO clients keep their worker, by polling and upgraded`, { skip }, async (t) => {
      const service = await serveChat(t, sticky);
      const clients = chats(t, service, 12);
      const pids = await allTalk(clients, 20);
      if (sticky === 'address') assert.equal(pids.size, 1, 'one address, one worker');
      for (const { problems } of clients) assert.deepEqual(problems, []);
      const transports = clients.map(({ socket }) => socket.io.engine.transport.name);
      assert.deepEqual([...new Set(transports)].sort(), ['polling', 'websocket']);
      for (const { socket } of clients) socket.disconnect();
      await stopped(service);
    });

    it(`by ${sticky}: a reload costs a reconnect, and no session is missed afterwards`, {
      skip,
    }, async (t) => {
      const service = await serveChat(t, sticky);
      const clients = chats(t, service, 8);
      await allTalk(clients, 3);
      const before = await readyPids(service);
      assert.equal((await reload(service)).verdict, 'done');
      await waitFor('the old workers to be gone', async () => (await stats(service)).workers.length, {
        timeout: patience,
        until: (count) => count === 2,
      });
      await waitFor('every client to have come to a new worker', () => Promise.all(clients.map(talk)), {
        timeout: patience,
        until: (pids) => pids.every((pid) => !before.includes(pid)),
      });
      for (const { problems } of clients) {
        const unknown = problems.filter((problem) => problem.includes('Session ID unknown'));
        assert.ok(unknown.length <= 1, problems.join('; '));
        problems.length = 0;
      }
      await allTalk(clients, 10);
      for (const { problems } of clients) assert.deepEqual(problems, []);
      for (const { socket } of clients) socket.disconnect();
      await stopped(service);
    });
  }

  it('without them long polling does not get far: the test can fail', { skip }, async (t) => {
    const service = await serveChat(t, 'off');
    const clients = chats(t, service, 12);
    const seen = () => clients.flatMap(({ problems }) => problems);
    await waitFor('an unknown session', seen, {
      timeout: patience,
      until: (problems) => problems.some((problem) => problem.includes('Session ID unknown')),
    });
  });

  it('by address: each address has one worker, and both workers have some', async (t) => {
    const service = await serveReloading(t, { env: { ROM_AGENT_STICKY: 'address' } });
    const pidsOf = async (address: string) =>
      new Set(await Promise.all(Array.from({ length: 8 }, () => pidSeenFrom(service, address))));
    const all = new Set<number>();
    for (let host = 2; host < 18; host += 1) {
      const pids = await pidsOf(`127.0.0.${host}`);
      assert.equal(pids.size, 1, `127.0.0.${host}`);
      for (const pid of pids) all.add(pid);
    }
    assert.equal(all.size, 2);
    await stopped(service);
  });

  for (const sticky of ['cookie', 'address']) {
    it(`by ${sticky}: connections find their worker during reloads and at the end, and no request is lost`, async (t) => {
      const service = await serveReleases(t, { ROM_AGENT_STICKY: sticky });
      const load = startLoad({
        t,
        port: service.port,
        clients: mixedClients,
        maxMs: 100_000,
      });
      for (let round = 0; round < 4; round += 1) {
        await load.reached(300);
        assert.equal((await reload(service)).verdict, 'done');
      }
      await load.reached(300);
      await lostNothing(load);
      await stopped(service);
    });
  }

  it('by cookie: a client is given one, and is brought to that worker with it, its body too', async (t) => {
    const service = await serveReloading(t, {
      env: { ROM_AGENT_STICKY: 'cookie', ROM_AGENT_STICKY_COOKIE: 'w' },
    });
    const cookies = new Map<string, number>();
    const meet = async () => {
      const connection = await connectTo(service);
      const { headers, body, closing } = await say(connection, '/api/info');
      connection.close();
      const [, value = ''] =
        /^w=(\d+\.\d+); Path=\/; HttpOnly; SameSite=Lax$/.exec(headers.get('set-cookie') ?? '') ?? [];
      assert.notEqual(value, '', [...headers].join());
      assert.ok(closing, 'what was not placed is not kept');
      cookies.set(value, JSON.parse(body).pid);
      return cookies.size;
    };
    await waitFor('both workers', meet, { timeout: patience, until: (size) => size === 2 });
    for (const [value, pid] of cookies) {
      for (let time = 0; time < 12; time += 1) {
        const seen = await ask(service, { headers: { cookie: `a=1; w=${value}; b=2` } });
        assert.deepEqual(seen, { pid, setCookie: undefined });
      }
    }
    await stopped(service);
  });
});

async function pidSeenFrom(service: Service, localAddress: string): Promise<number> {
  return (await ask(service, { localAddress })).pid;
}

function ask({ port }: Service, options: object): Promise<{ pid: number; setCookie: string[] | undefined }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host: '127.0.0.1', port, path: '/api/info', agent: false, ...options },
      (incoming) => {
        let body = '';
        incoming.on('data', (chunk) => {
          body += chunk;
        });
        incoming.on('end', () =>
          resolve({ pid: JSON.parse(body).pid, setCookie: incoming.headers['set-cookie'] }),
        );
      },
    );
    outgoing.on('error', reject).end();
  });
}
