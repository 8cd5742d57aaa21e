import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type ClientRequest, createServer, type IncomingMessage, request, type Server } from 'node:http';
import { createServer as createTlsServer, request as tlsRequest } from 'node:https';
import { type AddressInfo, connect, type Server as NetServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { describe, it, type TestContext } from 'node:test';
import { openDoor } from '../../../../src/worker/cell/door.js';
import { forward } from '../../../../src/worker/cell/forward.js';
import { deferred } from '../../../../src/worker/deferred.js';
import { certificate } from '../certificate.js';

const patience = 60_000;

interface Pair {
  readonly port: number;
  /** Of the worker that passes on. */
  readonly outside: Server;
  /** Connections that the cell has, as its app knows them. */
  readonly sockets: Set<Socket>;
  /** How long a request may take from now on, ms. */
  limit(ms: number): void;
  closeDoor(): void;
}

type App = Parameters<typeof createServer>[1];

/** A worker that passes everything on, and the cell that serves it. */
async function pair(t: TestContext, app: App, { requests = 100, tls = false } = {}): Promise<Pair> {
  const directory = mkdtempSync(join(tmpdir(), 'cell-'));
  const path = join(directory, 'door');
  const keys = tls ? await certificate() : {};
  const make = (handler: App): Server =>
    tls ? (createTlsServer(keys, handler ?? (() => {})) as unknown as Server) : createServer(handler);
  const inside = make(app);
  const sockets = new Set<Socket>();
  inside.on(tls ? 'secureConnection' : 'connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const door = await openDoor({ socket: path, requests }, () => inside as NetServer);
  let timeout = patience;
  const outside: Server = make((req, res) => forward(() => ({ path, timeout }), outside, req, res));
  outside.listen(0, '127.0.0.1');
  await once(outside, 'listening');
  t.after(() => {
    door.close();
    outside.close();
    outside.closeAllConnections();
    for (const socket of sockets) socket.destroy();
    rmSync(directory, { recursive: true, force: true });
  });
  return {
    port: (outside.address() as AddressInfo).port,
    outside,
    sockets,
    limit: (ms) => {
      timeout = ms;
    },
    closeDoor: () => door.close(),
  };
}

interface Asked {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: Buffer | Readable;
  readonly tls?: boolean;
}

function begin(
  port: number,
  { method = 'GET', path = '/', headers = {}, tls = false }: Asked = {},
): ClientRequest {
  const options = { port, host: '127.0.0.1', method, path, headers: headers as never, agent: false } as const;
  return tls ? tlsRequest({ ...options, rejectUnauthorized: false }) : request(options);
}

async function answered(sent: ClientRequest): Promise<IncomingMessage> {
  const [answer] = (await once(sent, 'response', { signal: AbortSignal.timeout(patience) })) as [
    IncomingMessage,
  ];
  return answer;
}

async function ask(port: number, asked: Asked = {}): Promise<IncomingMessage> {
  const sent = begin(port, asked);
  const { body } = asked;
  if (body instanceof Readable) body.pipe(sent);
  else sent.end(body);
  return answered(sent);
}

async function errorOf(answer: IncomingMessage): Promise<{ status: number; message: string }> {
  return (JSON.parse(await text(answer)) as { error: { status: number; message: string } }).error;
}

function hashOf(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

describe('a request that is passed on to the cell', () => {
  for (const tls of [false, true]) {
    const how = tls ? 'with TLS' : 'without TLS';
    it(`looks to the app as it does in any worker: ${how}`, async (t) => {
      const { port } = await pair(
        t,
        (req, res) => {
          const { remoteAddress, remotePort, remoteFamily, localAddress, localPort } = req.socket;
          const encrypted = (req.socket as { encrypted?: boolean }).encrypted === true;
          const { method, url, rawHeaders } = req;
          res.writeHead(418, 'Just so', ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'X-Odd-Case', 'yes']);
          res.end(
            JSON.stringify({
              ...{ method, url, rawHeaders, remoteAddress, remotePort, remoteFamily, localAddress },
              ...{ localPort, encrypted },
            }),
          );
        },
        { tls },
      );
      const sent = begin(port, {
        ...{
          tls,
          method: 'PUT',
          path: '/a%20b?c=d&e',
          headers: { 'X-Twice': ['1', '2'], Host: 'shop.test' },
        },
      });
      const [client] = (await once(sent.end(), 'socket')) as [Socket];
      const answer = await answered(sent);
      const local = { address: client.localAddress, port: client.localPort };
      const seen = JSON.parse(await text(answer)) as Record<string, unknown> & { rawHeaders: string[] };
      assert.equal(answer.statusCode, 418);
      assert.equal(answer.statusMessage, 'Just so');
      assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=2']);
      assert.ok(answer.rawHeaders.includes('X-Odd-Case'));
      assert.equal(answer.rawHeaders.filter((name) => name.toLowerCase() === 'date').length, 1);
      assert.deepEqual([seen.method, seen.url], ['PUT', '/a%20b?c=d&e']);
      assert.deepEqual(seen.rawHeaders.slice(0, 6), ['X-Twice', '1', 'X-Twice', '2', 'Host', 'shop.test']);
      assert.deepEqual([seen.remoteAddress, seen.remotePort], [local.address, local.port]);
      assert.deepEqual([seen.remoteFamily, seen.localAddress, seen.localPort], ['IPv4', '127.0.0.1', port]);
      assert.equal(seen.encrypted, tls);
      // One request a connection: the app may close it.
      assert.deepEqual(seen.rawHeaders.slice(-2), ['Connection', 'close']);
    });
  }

  it('has its whole body, with and without a length, and so has its answer', async (t) => {
    const { port } = await pair(t, async (req, res) => {
      const body = await buffer(req);
      res.setHeader('X-Hash', hashOf(body));
      res.setHeader('X-Length', String(req.headers['content-length']));
      if (req.url === '/sized') res.setHeader('Content-Length', body.length);
      else res.flushHeaders();
      res.end(body);
    });
    const data = randomBytes(5 * 2 ** 20);
    for (const path of ['/sized', '/chunked']) {
      const isSized = path === '/sized';
      const answer = await ask(port, {
        ...{ method: 'POST', path },
        ...(isSized ? { body: data } : { body: Readable.from(pieces(data)) }),
      });
      assert.equal(answer.headers['x-hash'], hashOf(data));
      assert.equal(answer.headers['x-length'], isSized ? String(data.length) : 'undefined');
      assert.equal(answer.headers['content-length'], isSized ? String(data.length) : undefined);
      assert.equal(hashOf(await buffer(answer)), hashOf(data));
    }
  });

  it('has its body where its method seldom has one', async (t) => {
    const { port } = await pair(t, async (req, res) => res.end(await text(req)));
    for (const headers of [{ 'Transfer-Encoding': 'chunked' }, { 'Content-Length': '5' }]) {
      const answer = await ask(port, { method: 'DELETE', headers, body: Buffer.from('hello') });
      assert.equal(await text(answer), 'hello');
    }
  });

  it('is asked for its body where its client waits for that, also of an app that decides that itself', async (t) => {
    const { port, outside } = await pair(t, async (req, res) => res.end(await text(req)));
    for (const decides of [false, true]) {
      if (decides) outside.on('checkContinue', (req, res) => outside.emit('request', req, res));
      const sent = begin(port, {
        method: 'POST',
        headers: { Expect: '100-continue', 'Content-Length': '5' },
      });
      sent.flushHeaders();
      await once(sent, 'continue', { signal: AbortSignal.timeout(patience) });
      sent.end('hello');
      assert.equal(await text(await answered(sent)), 'hello');
    }
  });

  it('streams both ways: each part of the answer comes before the next one of the request', async (t) => {
    const { port } = await pair(t, (req, res) => {
      let count = 0;
      res.writeHead(200, { Trailer: 'X-Count' });
      req.on('data', (chunk: Buffer) => {
        count += chunk.length;
        res.write(String(count));
      });
      req.on('end', () => {
        res.addTrailers({ 'X-Count': String(count) });
        res.end();
      });
    });
    const sent = begin(port, { method: 'POST' });
    sent.write('a');
    const answer = await answered(sent);
    for (const expected of ['1', '2', '3']) {
      const [part] = (await once(answer, 'data', { signal: AbortSignal.timeout(patience) })) as [Buffer];
      assert.equal(part.toString(), expected);
      if (expected !== '3') sent.write('b');
    }
    sent.end();
    await once(answer.resume(), 'end', { signal: AbortSignal.timeout(patience) });
    assert.deepEqual(answer.trailers, { 'x-count': '3' });
  });

  it('goes no faster than its client reads', async (t) => {
    let written = 0;
    const part = Buffer.alloc(2 ** 20);
    const { port } = await pair(t, (_req, res) => {
      const write = (): void => {
        while (written < 512) {
          written += 1;
          if (!res.write(part)) return void res.once('drain', write);
        }
        res.end();
      };
      write();
    });
    const client = connect(port, '127.0.0.1');
    t.after(() => client.destroy());
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(client, 'readable', { signal: AbortSignal.timeout(patience) });
    let before = -1;
    // It has stopped once nothing more is written while others have had many turns.
    for (let turn = 0; before !== written; turn += 1) {
      assert.ok(turn < 1_000);
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.ok(written < 200, `${written} MiB were written for nobody`);
  });

  it('gets no header that the app did not send, and the app none that is of the connection', async (t) => {
    const seen: string[] = [];
    const { port } = await pair(t, (req, res) => {
      seen.push(...Object.keys(req.headers));
      res.sendDate = false;
      res.writeHead(200, { 'Content-Length': 0, 'Keep-Alive': 'timeout=77', 'X-Own': '1' }).end();
    });
    const plain = await ask(port, {
      headers: { Connection: 'close, X-Hop', 'X-Hop': '1', 'Keep-Alive': '5', 'X-Kept': '1' },
    });
    assert.equal(plain.headers.date, undefined);
    assert.equal(plain.headers['x-own'], '1');
    assert.notEqual(plain.headers['keep-alive'], 'timeout=77');
    assert.ok(seen.includes('x-kept') && !seen.includes('x-hop') && !seen.includes('keep-alive'));
  });

  it('leaves a kept connection of its client usable, also after HEAD and 304', async (t) => {
    const { port } = await pair(t, (req, res) => {
      if (req.url === '/304') res.writeHead(304).end();
      else res.writeHead(200, { 'Content-Length': '5' }).end('hello');
    });
    const client = connect(port, '127.0.0.1');
    t.after(() => client.destroy());
    let seen = '';
    client.on('data', (data: Buffer) => {
      seen += data.toString();
    });
    const exchange = async (head: string, until: RegExp): Promise<string> => {
      seen = '';
      client.write(`${head} HTTP/1.1\r\nHost: x\r\n\r\n`);
      while (!until.test(seen)) await once(client, 'data', { signal: AbortSignal.timeout(patience) });
      return seen;
    };
    for (let round = 0; round < 2; round += 1) {
      assert.match(await exchange('HEAD /', /\r\n\r\n$/), /^HTTP\/1.1 200 [\s\S]*Content-Length: 5/);
      assert.match(await exchange('GET /304', /\r\n\r\n$/), /^HTTP\/1.1 304/);
      assert.match(await exchange('GET /', /hello$/), /Connection: keep-alive/);
    }
  });

  it('ends in the cell when its client goes away', async (t) => {
    const begun = deferred<void>();
    const ended = deferred<void>();
    const { port } = await pair(t, (_req, res) => {
      res.once('close', () => ended.resolve());
      begun.resolve();
    });
    const sent = begin(port);
    sent.once('error', () => {});
    sent.end();
    await begun.promise;
    sent.destroy();
    await ended.promise;
  });
});

describe('what the client is told where the cell does not answer', () => {
  it('is 502 when it dies before its answer, and a cut connection when it dies in it', async (t) => {
    const { port, sockets } = await pair(t, (req, res) => {
      if (req.url === '/half') res.writeHead(200, { 'Content-Length': '100' }).write('half');
      for (const socket of sockets) setTimeout(() => socket.destroy(), 50);
    });
    const answer = await ask(port, { method: 'POST', body: Buffer.from('x') });
    assert.equal(answer.statusCode, 502);
    assert.match((await errorOf(answer)).message, /died of one/);
    await assert.rejects(text(await ask(port, { path: '/half' })), /aborted/);
  });

  it('is 504 when it takes too long', async (t) => {
    const { port, limit, sockets } = await pair(t, () => {});
    limit(100);
    const answer = await ask(port);
    assert.equal(answer.statusCode, 504);
    assert.match((await errorOf(answer)).message, /are given 0.1 s/);
    while (sockets.size > 0) await new Promise((resolve) => setTimeout(resolve, 10));
  });

  it('is 503 with Retry-After while it has as many requests as it may, and when it is not there', async (t) => {
    const held: (() => void)[] = [];
    const both = deferred<void>();
    const { port, closeDoor } = await pair(
      t,
      (_req, res) => {
        held.push(() => res.end('late'));
        if (held.length === 2) both.resolve();
      },
      { requests: 2 },
    );
    const first = [ask(port), ask(port)];
    await both.promise;
    const refused = await ask(port);
    assert.deepEqual([refused.statusCode, refused.headers['retry-after']], [503, '1']);
    assert.match((await errorOf(refused)).message, /too many requests of this kind/);
    for (const release of held) release();
    for (const each of first) assert.equal(await text(await each), 'late');
    // Those that are over have made room.
    for (let nth = 0; nth < 4; nth += 1) {
      const next = ask(port);
      while (held.length < 3 + nth) await new Promise((resolve) => setTimeout(resolve, 10));
      held.at(-1)?.();
      assert.equal(await text(await next), 'late');
    }
    closeDoor();
    const absent = await ask(port, { method: 'POST', body: Buffer.alloc(100_000) });
    assert.deepEqual([absent.statusCode, absent.headers['retry-after']], [503, '1']);
    assert.match((await errorOf(absent)).message, /not there at this moment/);
  });
});

function* pieces(data: Buffer): Iterable<Buffer> {
  for (let at = 0; at < data.length; at += 60_001) yield data.subarray(at, at + 60_001);
}
