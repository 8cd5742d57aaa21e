import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { array, assert as assertProperty, constantFrom, property } from 'fast-check';
import { routeOf } from '../../../src/protocol/requests.js';

const uuid = '0b0f2c4e-9a35-4d0c-8d57-0d3f8e1a2b3c';

describe('the route of a path', () => {
  for (const path of [
    '/',
    '*',
    '/orders/new',
    '/api/v2/getUserById',
    '/api/oauth2/token.json',
    '/GetUser/HTTPStatus',
    '/static/jquery.min.js',
    '/.well-known/openid-configuration',
    '/_next/static/',
    '/a//b/',
  ]) {
    test(`is the path where it reads as words: ${path}`, () => assert.equal(routeOf(path), path));
  }

  for (const [segment, what] of [
    ['4711', 'a number'],
    [uuid, 'a UUID'],
    ['d41d8cd98f00b204e9800998ecf8427e', 'a hash'],
    ['kQ2x9vTn', 'a short token'],
    ['kQxZbPwLnM', 'a token of letters'],
    ['abcdefghijklmnopqrstuvwxyz', 'a long token of letters'],
    ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmN', 'a JWT'],
    ['bob%40example.com', 'an address'],
    ['bob@example.com', 'an address as it is'],
    ['order-12345', 'a number behind a word'],
    ['cart;jsessionid=ABCDEF', 'a session'],
    ['app.3f2a1b9c.js', 'a file with a hash'],
    ['a'.repeat(21), 'what is too long for a word'],
    ['a-'.repeat(40), 'what is too long for some words'],
  ] as const) {
    test(`hides ${what}`, () => assert.equal(routeOf(`/x/${segment}/y`), '/x/:id/y'));
  }

  test('has no query and no fragment', () => {
    assert.equal(routeOf('/reset?token=secret'), '/reset');
    assert.equal(routeOf('/reset#secret'), '/reset');
  });

  test('of a route is that route, so that a worker and the master mean the same', () => {
    for (const path of ['/x/1/y', `/${uuid}`, '/a/b', `/${'word/'.repeat(99)}`]) {
      assert.equal(routeOf(routeOf(path)), routeOf(path));
    }
  });

  test('is what the rule in regular expressions says, whatever the path is made of', () => {
    const piece = constantFrom(
      'a',
      'Z',
      'Ab',
      'word',
      'HTTP',
      '1',
      '42',
      '-',
      '_',
      '.',
      '~',
      '*',
      '/',
      ':id',
      ':',
      '%20',
      'é',
    );
    assertProperty(
      property(array(piece, { maxLength: 40 }), (pieces) => {
        const path = `/${pieces.join('')}`;
        assert.equal(routeOf(path), routeByRule(path));
      }),
    );
  });

  test('is cut at 200 characters', () => assert.equal(routeOf('/word'.repeat(99)).length, 200));
});

/** The same in few words, and ten times as slow. */
function routeByRule(path: string): string {
  const isWord = (word: string): boolean => {
    if (word === '') return true;
    const [, letters = ''] = /^([a-z]+)\d{0,2}$/i.exec(word) ?? [];
    if (letters === '' || letters.length > 20) return false;
    const humps = 1 + (letters.slice(1).match(/[A-Z]+/g)?.length ?? 0);
    return humps === 1 || letters.length / humps >= 2.5;
  };
  const isReadable = (segment: string): boolean =>
    segment.length <= 60 && /^[\w.~*-]*$/.test(segment) && segment.split(/[-_.~*]+/).every(isWord);
  return path
    .split('/')
    .map((segment) => (segment === ':id' || isReadable(segment) ? segment : ':id'))
    .join('/')
    .slice(0, 200);
}
