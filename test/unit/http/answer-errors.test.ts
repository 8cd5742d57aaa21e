import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { test } from 'node:test';
import Koa, { type Context } from 'koa';
import { answerErrors } from '../../../src/http/answer-errors.js';
import { listening } from './serving.js';

test('a failure after the response has begun is logged, and the response left alone', async (t) => {
  const { port, logged } = await failing(t, (ctx) => {
    ctx.res.write('first');
    throw new Error('too late');
  });
  const socket = net.connect(port, '127.0.0.1').setEncoding('utf8');
  t.after(() => socket.destroy());
  socket.write('GET /late HTTP/1.1\r\nHost: x\r\n\r\n');
  assert.deepEqual(await logged, [new Error('too late'), { method: 'GET', path: '/late' }]);
});

test('what a failed handler had prepared is not sent', async (t) => {
  const { port } = await failing(t, (ctx) => {
    ctx.set('ETag', '"1"');
    ctx.body = 'half an answer';
    throw new Error('changed its mind');
  });
  const answer = await fetch(`http://127.0.0.1:${port}/`);
  assert.equal(answer.status, 500);
  assert.equal(answer.statusText, 'Internal Server Error');
  assert.equal(answer.headers.get('etag'), null);
  assert.match(await answer.text(), /"internal_error"/);
});

/** A server whose only middleware fails; `logged` has the arguments of the first report. */
async function failing(t: Parameters<typeof listening>[0], middleware: (ctx: Context) => void) {
  const koa = new Koa();
  const { promise: logged, resolve } = deferred<unknown[]>();
  koa.context.onerror = answerErrors((...report) => resolve(report));
  koa.use(middleware);
  return { port: await listening(t, http.createServer(koa.callback())), logged };
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
