import type { IncomingMessage, RequestListener } from 'node:http';
import { PassThrough } from 'node:stream';
import Router from '@koa/router';
import Koa, { type Context } from 'koa';
import type { ControlClient } from '../control/client.js';
import { RefusedByDaemon } from '../control/client-errors.js';
import { answerErrors } from '../http/answer-errors.js';
import { HttpError } from '../http/errors.js';
import type { JobRun } from '../protocol/jobs.js';
import type { MetricsSnapshot } from '../protocol/metrics.js';
import { firstLook } from './first-look.js';
import type { Arrival, Verdict } from './gate.js';
import { contentPolicy, securityHeaders } from './gate.js';
import { type Hook, type HookAnswer, type HookQueue, hookPath, longestHookBody } from './hook.js';
import type { Observer } from './observer.js';
import type { PageFile } from './pages.js';

/** What takes a forge's word for a push. */
export interface Hooks {
  readonly judge: Hook;
  readonly queue: HookQueue;
}

export interface AdminAppOptions {
  /** null: no forge may start a deploy. */
  readonly hooks?: Hooks | null;
  readonly gate: (arrival: Arrival) => Verdict;
  readonly observer: Pick<Observer, 'stream' | 'state' | 'known' | 'refreshEvidence' | 'operations'>;
  readonly client: ControlClient;
  readonly pages: ReadonlyMap<string, PageFile>;
  /** Who asks, for the daemon's log and records. */
  readonly by: string;
  /** In the text format of Prometheus. */
  readonly renderMetrics: (snapshot: MetricsSnapshot) => Promise<{ type: string; text: string }>;
  /** Failures that are ours, not the client's. */
  readonly onError: (error: unknown, request: { method: string; path: string }) => void;
}

/** The admin server's routes. It never listens. */
export function createAdminApp(options: AdminAppOptions): RequestListener {
  const koa = new Koa();
  koa.context.onerror = answerErrors(options.onError, securityHeaders);
  // Before the gate: a forge has neither the token nor a name of the loopback, but a signature.
  koa.use((ctx, next) => (ctx.path === hookPath ? answerHook(ctx, options) : next()));
  koa.use((ctx, next) => admit(ctx, next, options.gate));
  koa.use(routerOf(options).routes());
  koa.use((ctx) => answerPage(ctx, options));
  const callback = koa.callback();
  return (request, response) => void callback(request, response);
}

/** Bodies that are read at once: nobody has proven anything yet. */
const mostHooksAtOnce = 4;
let hooksAtOnce = 0;

async function answerHook(ctx: Context, { hooks = null, onError }: AdminAppOptions): Promise<void> {
  ctx.set({ ...securityHeaders, 'Cache-Control': 'no-store' });
  if (hooks === null) throw new HttpError(404, 'no webhook is configured: deploy.hook_secret_file');
  if (ctx.method !== 'POST')
    throw new HttpError(405, 'only POST is answered here', { headers: { Allow: 'POST' } });
  if (hooksAtOnce >= mostHooksAtOnce) throw new HttpError(503, 'too many deliveries at once');
  hooksAtOnce += 1;
  try {
    const body = await readBytes(ctx.req, longestHookBody);
    const delivery = { headers: ctx.headers, body };
    let answer: HookAnswer;
    try {
      answer = hooks.judge(delivery);
    } catch (error) {
      onError(error, { method: 'POST', path: hookPath });
      throw new HttpError(500, 'the secret of the webhook cannot be read; the log has the details');
    }
    if (answer.kind === 'refused') throw new HttpError(answer.status, answer.reason);
    if (answer.kind === 'ignored') return json(ctx, { accepted: false, reason: answer.reason });
    const told = await hooks.queue.add(answer.by).catch((error: unknown) => {
      hooks.judge.forget(delivery);
      throw asHttpError(error);
    });
    ctx.status = 202;
    json(ctx, told);
  } finally {
    hooksAtOnce -= 1;
  }
}

async function admit(
  ctx: Context,
  next: () => Promise<unknown>,
  gate: AdminAppOptions['gate'],
): Promise<void> {
  ctx.set({ ...securityHeaders, 'Cache-Control': 'no-store' });
  const { method, path, headers, query } = ctx;
  const token = typeof query.token === 'string' ? query.token : null;
  const verdict = gate({ method, path, headers, token });
  if (verdict.kind === 'pass') {
    await next();
  } else if (verdict.kind === 'enter') {
    ctx.set('Set-Cookie', verdict.cookie);
    ctx.type = 'text/html; charset=utf-8';
    // No redirect: the cookie would not go with one that a link on another site, in a chat say, began (SameSite=Strict).
    ctx.body = '<!doctype html><title>rom-agent</title><meta http-equiv="refresh" content="0;url=./">\n';
  } else if (verdict.status === 401 && path === '/') {
    // For a person; a program reads JSON.
    ctx.status = 401;
    ctx.type = 'text/plain; charset=utf-8';
    ctx.body = `rom-agent: ${verdict.message}\n`;
  } else {
    const challenge = verdict.status === 401 ? { 'WWW-Authenticate': 'Bearer realm="rom-agent"' } : {};
    throw new HttpError(verdict.status, verdict.message, { headers: challenge });
  }
}

function routerOf({ observer, client, by, renderMetrics }: AdminAppOptions): Router {
  const router = new Router({ sensitive: true, strict: true });
  router.get('/api/state', async (ctx) => {
    json(ctx, await observer.state());
  });
  router.get('/api/events', (ctx) => streamEvents(ctx, observer.stream));
  router.get('/api/metrics.json', async (ctx) => {
    json(ctx, await fromDaemon(client.metrics()));
  });
  router.get('/metrics', async (ctx) => {
    const { type, text } = await renderMetrics(await fromDaemon(client.metrics()));
    ctx.set('Content-Type', type);
    ctx.body = text;
  });
  router.get('/api/evidence', async (ctx) => {
    json(ctx, await fromDaemon(client.evidenceFiles()));
  });
  router.get('/api/evidence/:name', (ctx) => sendEvidence(ctx, client));

  const command = (path: string, act: (body: Body, ctx: Context) => Promise<object>): void => {
    router.post(path, async (ctx) => {
      const body = await readBody(ctx.req);
      try {
        json(ctx, { accepted: true, ...(await act(body, ctx)) });
      } catch (error) {
        if (!(error instanceof RefusedByDaemon) || error.status !== 409) throw asHttpError(error);
        ctx.status = 409;
        json(ctx, { accepted: false, reason: error.message });
      }
    });
  };
  command('/api/reload', (body) => {
    const { soak = true, rollback = true } = fieldsOf(body, { soak: 'boolean', rollback: 'boolean' });
    return beginReload(client, { by, soak: soak === true, rollback: rollback === true });
  });
  command('/api/abort', async (body) => ({ message: await client.abort(nothing(body, by)) }));
  command('/api/scale', async (body) => {
    const { to, add } = fieldsOf(body, { to: 'number', add: 'number' });
    if ((to === undefined) === (add === undefined))
      throw new HttpError(400, 'either "to" or "add" is needed');
    const change = to === undefined ? { add: Number(add) } : { to: Number(to) };
    return { message: await client.scale(change, by) };
  });
  command('/api/deploy', (body) => {
    const { ref } = fieldsOf(body, { ref: 'string' });
    const options = ref === undefined ? { by } : { by, ref: String(ref) };
    return observer.operations.begin((onLine) => client.deploy(options, onLine));
  });
  command('/api/rollback', (body) => {
    const { release } = fieldsOf(body, { release: 'string' });
    const options = release === undefined ? { by } : { by, release: String(release) };
    return observer.operations.begin((onLine) => client.rollback(options, onLine));
  });
  command('/api/jobs/:name/run', async (body, ctx) => {
    const run = await beginRun(client, jobIn(ctx), nothing(body, by));
    void observer.operations.ask();
    return { run };
  });
  router.get('/api/jobs/:name/log', async (ctx) => {
    const { run } = ctx.query;
    json(ctx, await fromDaemon(client.jobLog(jobIn(ctx), typeof run === 'string' ? run : null)));
  });
  command('/api/workers/:id/restart', async (body, ctx) => ({
    message: await client.restart(workerIn(ctx), nothing(body, by)),
  }));
  command('/api/workers/:id/stack', (body, ctx) => client.stack(workerIn(ctx), nothing(body, by)));
  command('/api/workers/:id/profile', (body, ctx) => {
    const { seconds = 10 } = fieldsOf(body, { seconds: 'number' });
    return written(client.profile(workerIn(ctx), Number(seconds), by));
  });
  command('/api/workers/:id/heap-snapshot', (body, ctx) =>
    written(client.heapSnapshot(workerIn(ctx), nothing(body, by))),
  );
  return router;

  async function written(file: Promise<{ path: string; bytes: number }>): Promise<object> {
    const { path, bytes } = await file;
    void observer.refreshEvidence();
    return { path, bytes, name: path.replace(/^.*\//, '') };
  }
}

/** Resolves once the daemon has accepted: what comes of it arrives as events. */
function beginReload(
  client: ControlClient,
  options: Parameters<ControlClient['reload']>[0],
): Promise<object> {
  return new Promise((resolve, reject) => {
    client
      .reload(options, (line) => {
        if (line.type !== 'answer') return;
        const { type: _, accepted: __, ...answer } = line;
        resolve(answer);
      })
      // After the answer nobody hears of it any more.
      .catch(reject);
  });
}

/** Resolves once the run is there: its output is in its log. */
function beginRun(client: ControlClient, job: string, by: string): Promise<JobRun> {
  return new Promise((resolve, reject) => {
    client
      .runJob(job, by, (line) => {
        if (line.type !== 'output') resolve(line.run);
      })
      .catch(reject);
  });
}

/** Bytes that may wait for a client that does not read, before it is cut. */
const mostWaiting = 4 * 1024 * 1024;
/** Browsers have one for each page. */
const mostListeners = 64;
/** A comment shows a proxy, or a client, that the stream lives, ms. */
const signOfLife = 15_000;

function streamEvents(ctx: Context, stream: Observer['stream']): void {
  if (stream.listeners() >= mostListeners) throw new HttpError(503, 'too many clients listen to events');
  const { req, res } = ctx;
  req.socket.setTimeout(0);
  ctx.set({
    'Content-Type': 'text/event-stream; charset=utf-8',
    // nginx would hold events back.
    'X-Accel-Buffering': 'no',
  });
  const body = new PassThrough();
  ctx.body = body;
  if (ctx.method === 'HEAD') {
    body.end();
    return;
  }
  const resumed = ctx.get('Last-Event-ID') || (typeof ctx.query.after === 'string' ? ctx.query.after : '');
  const write = (text: string): void => {
    if (body.readableLength + res.writableLength > mostWaiting) res.destroy();
    else body.write(text);
  };
  const end = stream.listen({ write }, resumed === '' ? null : resumed.slice(0, 100));
  const timer = setInterval(() => write(':\n\n'), signOfLife);
  res.once('close', () => {
    clearInterval(timer);
    end();
    body.destroy();
  });
}

async function sendEvidence(ctx: Context, client: ControlClient): Promise<void> {
  const { name = '' } = ctx.params as { name?: string };
  if (!/^[\w-][\w.-]{0,199}$/.test(name)) throw new HttpError(404, 'there is no such evidence file');
  const { bytes, content } = await fromDaemon(client.evidenceFile(name));
  ctx.set({
    'Content-Type': 'application/octet-stream',
    'Content-Disposition': `attachment; filename="${name}"`,
  });
  // Koa destroys it when the client goes away.
  ctx.body = content;
  ctx.length = bytes;
}

function answerPage(ctx: Context, { pages, observer }: AdminAppOptions): void {
  const { method, path } = ctx;
  const page = pages.get(path);
  if (page === undefined) {
    const message =
      path === '/' ? 'this build has no page; /api/state has the state' : 'there is nothing here';
    throw new HttpError(404, message);
  }
  if (method !== 'GET' && method !== 'HEAD') {
    throw new HttpError(405, 'only GET is answered here', { headers: { Allow: 'GET, HEAD' } });
  }
  ctx.set({
    'Content-Type': page.type,
    'Cache-Control': page.cache,
    'Content-Security-Policy': contentPolicy(page.styles),
  });
  ctx.body = path === '/' ? firstLook(page.body.toString(), observer.known()) : page.body;
}

type Body = Readonly<Record<string, unknown>>;

/** Bytes. */
const longestBody = 16 * 1024;

/** @throws HttpError 413 */
async function readBytes(request: IncomingMessage, most: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    length += (chunk as Buffer).length;
    if (length > most) {
      throw new HttpError(413, `the body has more than ${most} bytes`, { headers: { Connection: 'close' } });
    }
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

/** @throws HttpError 400 or 413 */
async function readBody(request: IncomingMessage): Promise<Body> {
  const bytes = await readBytes(request, longestBody);
  if (bytes.length === 0) return {};
  try {
    const value: unknown = JSON.parse(bytes.toString());
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value as Body;
  } catch {}
  throw new HttpError(400, 'the body is not a JSON object');
}

/** @throws HttpError 400, which names the field */
function fieldsOf<Name extends string>(
  body: Body,
  known: Readonly<Record<Name, 'boolean' | 'number' | 'string'>>,
): Readonly<Partial<Record<Name, unknown>>> {
  for (const [name, value] of Object.entries(body)) {
    const type = Object.hasOwn(known, name) ? known[name as Name] : undefined;
    if (type === undefined) {
      const names = Object.keys(known).join(', ') || 'none';
      throw new HttpError(
        400,
        `${JSON.stringify(name).slice(0, 100)} is not a field; the fields are: ${names}`,
      );
    }
    if (typeof value !== type) throw new HttpError(400, `${name} is not right: expected a ${type}`);
  }
  return body as Readonly<Partial<Record<Name, unknown>>>;
}

/** For a command that takes no field. @returns `by`, so that nobody forgets to look */
function nothing(body: Body, by: string): string {
  fieldsOf(body, {});
  return by;
}

/** @throws HttpError 404 */
function workerIn(ctx: Context): number {
  const { id = '' } = ctx.params as { id?: string };
  if (/^[1-9]\d{0,4}$/.test(id)) return Number(id);
  throw new HttpError(404, 'a worker has a number, from 1');
}

/** @throws HttpError 404 */
function jobIn(ctx: Context): string {
  const { name = '' } = ctx.params as { name?: string };
  if (/^[\w][\w.-]{0,99}$/.test(name)) return name;
  throw new HttpError(404, 'there is no such job');
}

/** @throws HttpError 503 where the daemon does not answer */
async function fromDaemon<T>(question: Promise<T>): Promise<T> {
  try {
    return await question;
  } catch (error) {
    throw asHttpError(error);
  }
}

/** What a failure of the control socket is to the client. */
function asHttpError(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  if (error instanceof RefusedByDaemon && (error.status === 400 || error.status === 404)) {
    return new HttpError(error.status, error.message);
  }
  const message = error instanceof Error ? error.message : String(error);
  return new HttpError(503, message, { cause: error });
}

function json(ctx: Context, value: unknown): void {
  ctx.set('Content-Type', 'application/json; charset=utf-8');
  ctx.body = `${JSON.stringify(value)}\n`;
}
