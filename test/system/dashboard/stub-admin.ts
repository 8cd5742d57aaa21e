import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { type AdminEvents, type AdminState, guardHeader } from '../../../src/admin/api.js';
import { firstLook } from '../../../src/admin/first-look.js';
import { contentPolicy } from '../../../src/admin/gate.js';
import { loadPages } from '../../../src/admin/pages.js';
import { repoRoot } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';
import { patience } from './browser.js';

export interface Posted {
  readonly path: string;
  readonly body: unknown;
}

/** Stands in for the admin server: what it tells is up to the test. */
export class StubAdmin {
  state: AdminState;
  readonly posted: Posted[] = [];
  /** By path; without one a command is accepted. */
  readonly answers = new Map<string, unknown>();
  readonly files = new Map<string, string>();
  /** What is answered to a GET, by path. */
  readonly gets = new Map<string, unknown>();
  readonly #pages = loadPages(join(repoRoot, 'dist/page'));
  #server: Server | null = null;
  #port = 0;
  readonly #streams = new Set<ServerResponse>();
  #id = 0;

  constructor(state: AdminState) {
    this.state = state;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/`;
  }

  /** Waits until a page listens. */
  async watched(): Promise<void> {
    await waitFor('a page that listens', () => this.#streams.size > 0, { timeout: patience });
  }

  async start(): Promise<void> {
    const server = createServer((request, response) => {
      void this.#answer(request, response).catch((error: unknown) => {
        response.writeHead(500).end(String(error));
      });
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Ends it, with all of its connections; `start` brings it back at the same address. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    this.#server = null;
    server.closeAllConnections();
    this.#streams.clear();
    await new Promise((resolve) => server.close(resolve));
  }

  send<K extends keyof AdminEvents>(name: K, data: AdminEvents[K]): void {
    const text = `id: stub-${++this.#id}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
    for (const stream of this.#streams) stream.write(text);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    response.setHeader('Content-Security-Policy', contentPolicy());
    response.setHeader('X-Content-Type-Options', 'nosniff');
    if (request.method === 'POST') return this.#command(pathname, request, response);
    if (pathname === '/api/state') return sendJson(response, 200, this.state);
    if (pathname === '/api/events') {
      response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
      response.write(':\n\n');
      this.#streams.add(response);
      response.once('close', () => this.#streams.delete(response));
      return;
    }
    if (this.gets.has(pathname)) return sendJson(response, 200, this.gets.get(pathname));
    const evidence = /^\/api\/evidence\/(.+)$/.exec(pathname)?.[1];
    if (evidence !== undefined) {
      const file = this.files.get(decodeURIComponent(evidence));
      response.writeHead(file === undefined ? 404 : 200).end(file);
      return;
    }
    if (pathname === '/word') {
      response.setHeader('Content-Type', 'text/html; charset=utf-8');
      response.end('<!doctype html><html lang="en"><title>word</title>word');
      return;
    }
    const page = this.#pages.get(pathname);
    if (page === undefined) {
      response.writeHead(404).end();
      return;
    }
    response.setHeader('Content-Type', page.type);
    response.setHeader('Content-Security-Policy', contentPolicy(page.styles));
    response.end(pathname === '/' ? firstLook(page.body.toString(), this.state) : page.body);
  }

  async #command(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.headers[guardHeader.toLowerCase()] !== '1') {
      return sendJson(response, 403, { error: { message: 'no guard header' } });
    }
    this.posted.push({ path, body: await json(request) });
    const answer = this.answers.get(path) ?? { accepted: true, message: 'as you wish', needRestart: [] };
    sendJson(response, (answer as { accepted: boolean }).accepted ? 200 : 409, answer);
  }
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
}
