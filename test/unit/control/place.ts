import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type ControlServer, openControl } from '../../../src/control/server.js';
import { ask, type HttpAnswer } from '../../support/net.js';
import { type FakeCommands, fakeCommands } from './fake-commands.js';

/** A directory of mode 0700 that goes with the test. */
export function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'rom-agent-control-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export interface Opened extends FakeCommands {
  readonly path: string;
  readonly server: ControlServer;
  readonly errors: unknown[];
}

/** A control socket in front of commands that do nothing, until the test ends. */
export async function opened(
  t: TestContext,
  { path = join(folder(t), 'control.sock') } = {},
): Promise<Opened> {
  const fake = fakeCommands();
  const errors: unknown[] = [];
  const server = await openControl({
    path,
    commands: fake.commands,
    version: '0.1.0',
    log: { error: (message, fields) => errors.push({ message, ...fields }) },
  });
  t.after(() => server.close());
  return Object.assign(fake, { path, server, errors });
}

export function get(path: string, route: string, headers = {}): Promise<HttpAnswer> {
  return ask({ socketPath: path, path: route, headers });
}

/** `body` goes as JSON unless it is a string. */
export function post(path: string, route: string, body?: unknown, headers = {}): Promise<HttpAnswer> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const all = { ...(body === undefined ? {} : { 'Content-Type': 'application/json' }), ...headers };
  return ask({
    socketPath: path,
    path: route,
    method: 'POST',
    headers: all,
    ...(text === undefined ? {} : { body: text }),
  });
}

/** The field of the first problem that a 400 names. */
export function problemsOf({ json }: HttpAnswer): unknown {
  return (json as { error: { problems?: unknown } }).error.problems;
}

export function messageOf({ json }: HttpAnswer): string {
  return (json as { error: { message: string } }).error.message;
}

export interface Lines {
  /** All that arrived so far, blank ones left out. */
  readonly lines: unknown[];
  readonly blank: () => number;
  readonly ended: () => 'no' | 'cleanly' | 'cut';
  leave(): void;
}

/** Reads a stream as it comes. Resolves with its headers. */
export function streaming(
  path: string,
  { method = 'GET', route, body }: { method?: string; route: string; body?: unknown },
): Promise<Lines> {
  const lines: unknown[] = [];
  let blank = 0;
  let ended: 'no' | 'cleanly' | 'cut' = 'no';
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'Content-Type': 'application/json' };
    const outgoing = request({ socketPath: path, path: route, method, headers, agent: false }, (incoming) => {
      let rest = '';
      incoming.setEncoding('utf8').on('data', (chunk: string) => {
        const parts = (rest + chunk).split('\n');
        rest = parts.pop() ?? '';
        for (const part of parts) part === '' ? blank++ : lines.push(JSON.parse(part));
      });
      incoming.on('end', () => {
        ended = 'cleanly';
      });
      incoming.on('error', () => {
        ended = 'cut';
      });
      resolve({ lines, blank: () => blank, ended: () => ended, leave: () => outgoing.destroy() });
    });
    outgoing.on('error', reject).end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** A server that knows nothing of HTTP. */
export async function strangerAt(
  t: TestContext,
  path: string,
  onConnection: (socket: Socket) => void = (socket) => socket.destroy(),
): Promise<Server> {
  const server = createServer((socket) => onConnection(socket.on('error', () => {}))).listen(path);
  t.after(() => server.close());
  await once(server, 'listening');
  return server;
}

/** A socket that nobody listens on any more, as kill -9 leaves it behind. */
export async function staleSocket(t: TestContext, path: string): Promise<void> {
  const server = await strangerAt(t, `${path}.before`);
  renameSync(`${path}.before`, path);
  server.close();
  await once(server, 'close');
}

/** Sends bytes as they are and reads until the server closes. */
export async function raw(path: string, bytes: string | Buffer): Promise<string> {
  const socket = connect(path);
  socket.setTimeout(10_000, () => socket.destroy(new Error('the server did not close within 10 s')));
  socket.write(bytes);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
