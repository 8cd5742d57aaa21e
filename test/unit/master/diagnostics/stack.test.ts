import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type CallFrame, formatStack } from '../../../../src/master/diagnostics/capture.js';

const urls = new Map([
  ['1', 'node:internal/timers'],
  ['2', 'file:///srv/my%20app/server.js'],
  ['3', 'file:///usr/lib/rom-agent/dist/chunks/app.js'],
  ['4', '/srv/app/old.cjs'],
]);
const own = 'file:///usr/lib/rom-agent/dist/';

function frame(functionName: string, scriptId: string, lineNumber = 11): CallFrame {
  return { functionName, location: { scriptId, lineNumber, columnNumber: 4 } };
}

describe('a stack', () => {
  test('has a line a frame, with paths, and counts lines and columns from 1', () => {
    const { stack } = formatStack([frame('checkout', '2'), frame('', '4'), frame('list', '1')], {
      urls,
      own,
    });
    assert.deepEqual(stack.split('\n'), [
      '    at checkout (/srv/my app/server.js:12:5)',
      '    at /srv/app/old.cjs:12:5',
      '    at list (node:internal/timers:12:5)',
    ]);
  });

  test("is at its innermost frame that is neither Node's nor ours", () => {
    const frames = [frame('parse', '1'), frame('route', '3'), frame('checkout', '2'), frame('main', '4')];
    assert.equal(formatStack(frames, { urls, own }).at, 'checkout (/srv/my app/server.js:12:5)');
  });

  test('of the built-in app is at a frame of ours', () => {
    const { at } = formatStack([frame('parse', '1'), frame('route', '3')], { urls, own });
    assert.equal(at, 'route (/usr/lib/rom-agent/dist/chunks/app.js:12:5)');
  });

  test('of Node alone is nowhere', () => {
    assert.equal(formatStack([frame('processTimers', '1')], { urls, own }).at, null);
  });

  test('names what was made by eval', () => {
    assert.equal(formatStack([frame('f', '9')], { urls, own }).at, 'f (<anonymous>:12:5)');
  });

  test('of an endless recursion is cut', () => {
    const { stack } = formatStack(Array<CallFrame>(10_000).fill(frame('f', '2')), { urls, own });
    const lines = stack.split('\n');
    assert.deepEqual([lines.length, lines.at(-1)], [31, '    ... 9970 more']);
  });
});
