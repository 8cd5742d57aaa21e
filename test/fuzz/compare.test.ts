import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Play } from './client.js';
import { type Outcome, type Pair, same, sameUnlessKilled, sameWhileDraining } from './compare.js';
import type { Script } from './script.js';

const send = (token: string): string => `GET / HTTP/1.1\r\nX-Token: ${token}\r\n\r\n`;
const answer = (token: string, connection = 'keep-alive'): string =>
  `HTTP/1.1 200 OK\r\nX-Token: ${token}\r\nConnection: ${connection}\r\nContent-Length: 0\r\n\r\n`;
const both = answer('r0') + answer('r1');

const inTwo: Script = {
  name: 'two requests',
  server: 'patient',
  steps: [{ send: send('r0') }, { answers: 1 }, { send: send('r1') }, { answers: 2 }, { end: true }],
  requests: ['r0', 'r1'].map((token) => ({ token, method: 'GET' })),
};
const inOne: Script = { ...inTwo, steps: [{ send: send('r0') + send('r1') }, { answers: 2 }] };

function outcome(text: string, begun: readonly string[], end: Play['end'] = 'fin'): Outcome {
  const play = { bytes: Buffer.from(text), end, begunAt: 0, endedAt: 100, wasLate: false, headTook: 0 };
  return { play, executed: { begun: begun.map((token) => `${token} GET /`), read: [] } };
}

function pair(script: Script, agent: Outcome): Pair {
  return { script, plain: outcome(both, ['r0', 'r1']), agent };
}

describe('what may not differ', () => {
  test('is nothing where nothing does', () => {
    assert.equal(same(pair(inTwo, outcome(both, ['r0', 'r1']))), null);
  });

  test('is an answer, an execution and an end', () => {
    for (const agent of [
      outcome(answer('r0') + answer('r1', 'close'), ['r0', 'r1']),
      outcome(both, ['r0', 'r1', 'x0']),
      outcome(both, ['r0', 'r1'], 'open'),
    ])
      assert.notEqual(same(pair(inTwo, agent)), null);
  });
});

describe('while a worker drains', () => {
  test('an answer may say close, and what is sent behind it may be lost', () => {
    assert.equal(sameWhileDraining(pair(inTwo, outcome(answer('r0', 'close'), ['r0']))), null);
  });

  test('what came in one piece with what is answered may not', () => {
    assert.match(`${sameWhileDraining(pair(inOne, outcome(answer('r0', 'close'), ['r0'])))}`, /is lost/);
  });

  test('a client that goes at a moment left to chance may have got one answer more', () => {
    const agent = outcome(both + answer('r2'), ['r0', 'r1', 'r2']);
    const requests = [...inTwo.requests, { token: 'r2', method: 'GET' }];
    assert.equal(sameWhileDraining(pair({ ...inTwo, requests, sure: 2 }, agent)), null);
    assert.match(`${sameWhileDraining(pair({ ...inTwo, requests }, agent))}`, /an answer too many/);
  });

  test('nothing is executed behind an answer that says close', () => {
    const agent = outcome(answer('r0', 'close') + answer('r1'), ['r0', 'r1']);
    assert.match(`${sameWhileDraining(pair(inTwo, agent))}`, /r1 was executed behind/);
  });

  test('what was executed is answered', () => {
    const agent = outcome(answer('r0'), ['r0', 'r1'], 'reset');
    assert.match(`${sameWhileDraining(pair(inTwo, agent))}`, /r1 was executed, and is not answered/);
  });

  test('an answer is whole', () => {
    const agent = outcome(both.slice(0, -10), ['r0', 'r1'], 'reset');
    assert.match(`${sameWhileDraining(pair(inTwo, agent))}`, /cut inside/);
  });
});

describe('while workers are killed', () => {
  const cut = outcome(both.slice(0, 20), ['r0'], 'reset');

  test('a connection may be cut where one was killed in its life', () => {
    assert.equal(sameUnlessKilled([50])(pair(inTwo, cut)), null);
  });

  test('and else it may not', () => {
    assert.notEqual(sameUnlessKilled([500])(pair(inTwo, cut)), null);
  });
});
