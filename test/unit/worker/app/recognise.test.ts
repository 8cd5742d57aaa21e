import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createServer as createH2cServer, createSecureServer } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createTcpServer } from 'node:net';
import test from 'node:test';
import express from 'express';
import Fastify from 'fastify';
import Koa from 'koa';
import { recognise } from '../../../../src/worker/app/recognise.js';

const listener = (_req: unknown, res: { end(): void }) => res.end();
const kinds: [what: string, exported: unknown, kind: string][] = [
  ['an Express app', express(), 'listener'],
  ['a Koa app', new Koa(), 'listener'],
  ['a Fastify instance', Fastify(), 'fastify'],
  ['a (req, res) listener', listener, 'listener'],
  ['an async listener', async (_req: unknown, _res: unknown) => {}, 'listener'],
  ['a listener with next', (_req: unknown, _res: unknown, _next: unknown) => {}, 'listener'],
  ['an http.Server', createServer(), 'server'],
  ['an https.Server', createHttpsServer(), 'server'],
  ['an Http2Server', createH2cServer(), 'server'],
  ['an Http2SecureServer', createSecureServer(), 'server'],
  ['a net.Server', createTcpServer(), 'server'],
  ['a factory of an Express app', () => express(), 'listener'],
  ['a factory of a Koa app', () => new Koa(), 'listener'],
  ['an async factory of a Fastify instance', async () => Fastify(), 'fastify'],
  ['a factory with an optional parameter', (_options?: object) => createServer(), 'server'],
  ['a factory of a listener', () => listener, 'listener'],
  ['an async factory of a listener without parameters', async () => () => {}, 'listener'],
  ['a factory that listens itself and returns nothing', () => undefined, 'nothing'],
  ['undefined', undefined, 'nothing'],
  ['null', null, 'nothing'],
  ['an empty module.exports', {}, 'nothing'],
];

for (const [what, exported, kind] of kinds) {
  test(`${what} is recognised as ${kind}`, async () => {
    const app = await recognise(exported);
    assert.equal(app.kind, kind);
    assert.equal('error' in app, false);
  });
}

const unusable: [exported: unknown, message: RegExp][] = [
  [
    { app: 1, port: 3000 },
    /^app: the default export is an object with app, port; expected a Koa or Express app/,
  ],
  [{ a: 1, b: 1, c: 1, d: 1, e: 1, f: 1 }, /with a, b, c, d, e, \.\.\.;/],
  [['a', 'b'], /the default export is an array;/],
  ['3000', /the default export is the string '3000';/],
  [3000, /the default export is the number 3000;/],
  [() => 'started', /the default export's result is the string 'started';/],
];

for (const [exported, message] of unusable) {
  test(`what is no app says so: ${message.source}`, async () => {
    const app = await recognise(exported);
    assert.equal(app.kind, 'nothing', 'it may yet listen by itself');
    assert.match((app.kind === 'nothing' && app.error?.message) || '', message);
  });
}

test('what a factory throws is passed on', async () => {
  await assert.rejects(
    recognise(async () => {
      throw new Error('no database');
    }),
    /no database/,
  );
});

test('the listener of a Koa app is its callback', async () => {
  const koa = new Koa();
  const app = await recognise(koa);
  assert.equal(app.kind === 'listener' && app.listener.length, 2);
});
