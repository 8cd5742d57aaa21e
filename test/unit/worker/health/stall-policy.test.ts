import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  blame,
  causeOf,
  createLimiter,
  overlap,
  type SeenFrame,
  type StackLook,
} from '../../../../src/worker/health/stall-policy.js';

const isOwn = (file: string): boolean => file.startsWith('/opt/rom-agent/');

/** `name file:line`, innermost first; `>name` has just been entered. */
function look(frames: readonly string[], late = false): StackLook {
  return {
    late,
    frames: frames.map((text): SeenFrame => {
      const [, entered, name = '', file = '', line] = /^(>?)(\S+) (\S+?)(?::(\d+))?$/.exec(text) ?? [];
      const place = { function: name === '-' ? null : name, file: file === '-' ? null : file };
      return { ...place, line: Number(line), column: 1, ...(entered === '>' ? { entered: true } : {}) };
    }),
  };
}

function blamed(...looks: readonly StackLook[]) {
  const found = blame(looks, isOwn);
  if (found === null || found === 'own') return found;
  const { frame, exact, share } = found;
  return [`${frame.function} ${frame.file}:${frame.line}`, exact, share];
}

describe('the function that a stall is blamed on', () => {
  test("is the innermost that is the app's, not Node's and not a builtin of V8", () => {
    const frames = ['test -', 'emit node:events:1', 'check /app/a.js:4', 'handle /app/a.js:9'];
    assert.deepEqual(blamed(look(frames)), ['check /app/a.js:4', true, 1]);
  });

  test('is the deepest that half of the looks found', () => {
    const looks = [
      look(['inner /app/a.js:7', 'sum /app/a.js:4', 'handle /app/a.js:9']),
      look(['sum /app/a.js:4', 'handle /app/a.js:9']),
      look(['sum /app/a.js:5', 'handle /app/a.js:9']),
      look(['other /app/b.js:1', 'handle /app/a.js:9']),
    ];
    assert.deepEqual(blamed(...looks), ['sum /app/a.js:4', true, 0.75]);
  });

  test('is the one that most looks found where they have little in common', () => {
    const looks = ['a', 'b', 'c', 'b', 'd', 'e'].map((name) => look([`${name} /app/a.js:1`]));
    assert.deepEqual(blamed(...looks), ['b /app/a.js:1', true, 2 / 6]);
  });

  test('is not the one that a call of native code was followed by', () => {
    const late = look(['set node:_http_outgoing:3', '>helper /app/b.js:2', 'parse /app/a.js:4'], true);
    assert.deepEqual(blamed(late), ['parse /app/a.js:4', false, 1]);
  });

  test('is sure where a function of Node for a call that blocks is on the stack', () => {
    const late = look(
      ['from node:buffer:2', 'pbkdf2Sync node:internal/crypto/pbkdf2:7', 'hash /app/a.js:5'],
      true,
    );
    assert.deepEqual(blamed(late), ['hash /app/a.js:5', true, 1]);
  });

  test('is nobody where no look found one, or nobody looked', () => {
    assert.equal(blamed(look(['listOnTimeout node:internal/timers:5'])), null);
    assert.equal(blamed(look(['>next /app/a.js:1'], true)), null);
    assert.equal(blamed(), null);
  });

  test('is this program where only its own functions ran', () => {
    assert.equal(blamed(look(['snapshot /opt/rom-agent/dist/x.js:1'])), 'own');
  });

  test('functions without a name are told apart by their lines', () => {
    const looks = [look(['- /app/a.js:1']), look(['- /app/a.js:8']), look(['- /app/a.js:8'])];
    assert.deepEqual(blamed(...looks), ['null /app/a.js:8', true, 2 / 3]);
  });
});

describe('the cause of a stall', () => {
  const cause = (tookMs: number, gcMs: number, notRunMs: number) => causeOf({ tookMs, gcMs, notRunMs }, 200);

  test('is that the process did not run, where it would not have been one otherwise', () => {
    assert.equal(cause(900, 0, 750), 'starved');
    assert.equal(cause(900, 0, 700), 'code');
  });

  test('is the garbage collection, where that was most of it', () => {
    assert.equal(cause(500, 350, 0), 'gc');
    assert.equal(cause(500, 250, 0), 'code');
    assert.equal(cause(900, 350, 400), 'code');
  });

  test('pauses count as far as they overlap with it', () => {
    const pauses = [
      [0, 10],
      [90, 20],
      [150, 30],
      [190, 50],
      [300, 5],
    ] as const;
    assert.equal(overlap(pauses, { from: 100, to: 200 }), 50);
  });
});

test('a function is reported once in a time, and the next report says how many were held back', () => {
  const limiter = createLimiter(10_000);
  assert.deepEqual(
    [0, 1_000, 9_999, 10_000, 25_000].map((now) => limiter.admit('a', now)),
    [0, null, null, 2, 0],
  );
  assert.equal(limiter.admit('b', 1_000), 0);
});

test('of many functions the oldest is forgotten', () => {
  const limiter = createLimiter(10_000);
  for (let n = 0; n <= 100; n++) assert.equal(limiter.admit(`f${n}`, n), 0);
  assert.equal(limiter.admit('f0', 200), 0);
  assert.equal(limiter.admit('f100', 200), null);
});
