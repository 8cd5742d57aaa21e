import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { mostRoutes, RequestTally } from '../../../src/metrics/tally.js';

interface Answer {
  readonly url: string;
  readonly method?: string;
  readonly status?: number;
  readonly took?: number;
  readonly weight?: number;
  readonly originalUrl?: string;
  readonly route?: unknown;
  readonly baseUrl?: string;
}

function answer(tally: RequestTally, given: Answer): void {
  const { url, method = 'GET', status = 200, took = 3, weight = 1, originalUrl, route, baseUrl } = given;
  const req = {
    url,
    method,
    ...(originalUrl === undefined ? {} : { originalUrl }),
    ...(route === undefined ? {} : { route }),
    ...(baseUrl === undefined ? {} : { baseUrl }),
  } as unknown as IncomingMessage;
  tally.answered({ req, statusCode: status }, took, weight);
}

function answersOf(tally: RequestTally): Record<string, Readonly<Record<string, number>>> {
  return Object.fromEntries(tally.counts().map(({ route, answers }) => [route, answers]));
}

test('answers are counted by route, method and class of status, without the query', () => {
  const tally = new RequestTally();
  answer(tally, { url: '/orders/17?token=secret' });
  answer(tally, { url: '/orders/18', status: 304 });
  answer(tally, { url: '/orders/18', status: 404 });
  answer(tally, { url: '/orders', method: 'POST', status: 503 });
  answer(tally, { url: '/orders', method: 'PROPFIND', status: 207 });
  assert.deepEqual(answersOf(tally), {
    '/orders/:id': { 'GET 2xx': 1, 'GET 3xx': 1, 'GET 4xx': 1 },
    '/orders': { 'POST 5xx': 1, 'other 2xx': 1 },
  });
});

test('the path is the one that the client sent, where a router of Express has cut its prefix off', () => {
  const tally = new RequestTally();
  answer(tally, { url: '/list', originalUrl: '/orders/list' });
  assert.deepEqual(Object.keys(answersOf(tally)), ['/orders/list']);
});

test('a route gets no class of its own by refusals alone, so that who tries paths fills no table', () => {
  const tally = new RequestTally();
  for (const path of ['admin', 'login', 'setup']) answer(tally, { url: `/${path}.php`, status: 404 });
  answer(tally, { url: '/private', status: 401 });
  assert.deepEqual(answersOf(tally), { other: { 'GET 4xx': 4 } });
  answer(tally, { url: '/private' });
  answer(tally, { url: '/private', status: 401 });
  assert.deepEqual(answersOf(tally), { '/private': { 'GET 2xx': 1, 'GET 4xx': 1 }, other: { 'GET 4xx': 4 } });
});

test('the number of routes is bounded, and what is beyond it is other', () => {
  const tally = new RequestTally();
  const words = Array.from(
    { length: 90 },
    (_, index) => `route${'abcdefghij'[index % 10]}${'klmnopqrst'[Math.floor(index / 10)]}`,
  );
  for (const word of words) answer(tally, { url: `/${word}` });
  const answers = answersOf(tally);
  assert.equal(Object.keys(answers).length, mostRoutes + 1);
  assert.deepEqual(answers.other, { 'GET 2xx': 90 - mostRoutes });
});

test('a target that is no path is other', () => {
  const tally = new RequestTally();
  answer(tally, { url: '*', method: 'OPTIONS' });
  answer(tally, { url: 'http://host/a' });
  assert.deepEqual(answersOf(tally), { other: { 'OPTIONS 2xx': 1, 'GET 2xx': 1 } });
});

test('durations are counted by bucket, and a timed request stands for as many as its weight says', () => {
  const tally = new RequestTally();
  answer(tally, { url: '/', took: 0.4 });
  answer(tally, { url: '/', took: 1 });
  answer(tally, { url: '/', took: 80, weight: 8 });
  answer(tally, { url: '/', took: 0, weight: 0 });
  answer(tally, { url: '/', took: 60_000 });
  const [{ durations } = { durations: { counts: [], sumSeconds: 0 } }] = tally.counts();
  assert.deepEqual(durations.counts, [2, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1]);
  assert.ok(Math.abs(durations.sumSeconds - 60.6414) < 1e-9, String(durations.sumSeconds));
});

test('however many different paths there are, each answer is counted once, and each failure at its route', () => {
  const tally = new RequestTally();
  for (let index = 0; index < 5_000; index++) answer(tally, { url: `/users/${index}` });
  for (let index = 0; index < 500; index++) answer(tally, { url: `/items/${index}`, status: 500 });
  answer(tally, { url: '/carts/1' });
  const answers = answersOf(tally);
  assert.deepEqual(answers['/users/:id'], { 'GET 2xx': 5_000 });
  assert.deepEqual(answers['/items/:id'], { 'GET 5xx': 500 });
  assert.deepEqual(answers['/carts/:id'], { 'GET 2xx': 1 });
});

test('a stream of HTTP/2 is counted as a request is', () => {
  const tally = new RequestTally();
  tally.counted({ method: 'GET', path: '/orders' }, 200, 12);
  const [only] = tally.counts();
  assert.deepEqual(
    [only?.route, only?.answers, only?.durations.sumSeconds],
    ['/orders', { 'GET 2xx': 1 }, 0.012],
  );
});

test('a route of the router is one class, whatever its parameters are, and its parameters are all `:id`', () => {
  const tally = new RequestTally();
  for (const slug of ['hello-world', 'good-bye', 'see-you']) {
    answer(tally, { url: `/blog/${slug}`, route: { path: '/blog/:slug' } });
    answer(tally, {
      url: `/${slug}`,
      originalUrl: `/shop/${slug}`,
      baseUrl: '/shop',
      route: { path: '/:item' },
    });
  }
  answer(tally, { url: '/', originalUrl: '/shop', baseUrl: '/shop', route: { path: '/' } });
  answer(tally, { url: '/', route: { path: '/' } });
  answer(tally, { url: '/blog/none', route: { path: '/blog/:slug' }, status: 404 });
  assert.deepEqual(answersOf(tally), {
    '/blog/:id': { 'GET 2xx': 3, 'GET 4xx': 1 },
    '/shop/:id': { 'GET 2xx': 3 },
    '/shop': { 'GET 2xx': 1 },
    '/': { 'GET 2xx': 1 },
  });
});

test('a request that no router saw has the class of those that it saw', () => {
  const tally = new RequestTally();
  answer(tally, { url: '/orders/17', route: { path: '/orders/:orderId' } });
  answer(tally, { url: '/orders/18', status: 401 });
  assert.deepEqual(answersOf(tally), { '/orders/:id': { 'GET 2xx': 1, 'GET 4xx': 1 } });
});

test('a route that takes every path says less than the path, and what is no pattern says nothing', () => {
  const tally = new RequestTally();
  const routes = ['*', '/*', '/{*splat}', '/(.*)', /^\/page/, ['/page', '/other'], 7, undefined];
  for (const path of routes) answer(tally, { url: '/page/one', route: { path } });
  answer(tally, { url: '/page/one', route: 'page' });
  answer(tally, { url: '/page/one', route: null });
  assert.deepEqual(answersOf(tally), { '/page/one': { 'GET 2xx': routes.length + 2 } });
});

test('routers at more paths than are remembered are still told by their classes', () => {
  const tally = new RequestTally();
  for (let count = 0; count < 3_000; count += 1) {
    answer(tally, { url: '/list', baseUrl: `/users/${count}`, route: { path: '/list' } });
  }
  assert.deepEqual(answersOf(tally), { '/users/:id/list': { 'GET 2xx': 3_000 } });
});
