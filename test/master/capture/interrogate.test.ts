import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Inspector, Reply } from '../../../src/master/capture/inspector.js';
import { interrogate, TooLate } from '../../../src/master/capture/interrogate.js';

const note = { method: 'GET', path: '/slow', age: 12_300 };

interface Paper {
  readonly inspector: Inspector;
  readonly calls: string[];
}

/** An inspector on paper. Where `frames` are given it pauses at once. */
function paper({
  frames,
  told = { requests: [note] },
  fails = '',
}: {
  frames?: object[];
  told?: unknown;
  fails?: string;
} = {}): Paper {
  const listeners = new Map<string, (params: Reply) => void>();
  const calls: string[] = [];
  const inspector: Inspector = {
    call: async (method) => {
      calls.push(method);
      if (method === fails) throw new Error('the inspector closed the connection');
      if (method === 'Debugger.enable')
        listeners.get('Debugger.scriptParsed')?.({ scriptId: '2', url: 'file:///srv/app.js' });
      if (method === 'Debugger.pause' && frames !== undefined)
        listeners.get('Debugger.paused')?.({ callFrames: frames });
      return method === 'Runtime.evaluate' ? { result: { value: told } } : {};
    },
    on: (method, listener) => void listeners.set(method, listener),
    close: () => {},
  };
  return { inspector, calls };
}

const frames = [{ functionName: 'checkout', location: { scriptId: '2', lineNumber: 11, columnNumber: 4 } }];
const options = {
  own: 'file:///usr/',
  sleeps: async () => false,
  signal: AbortSignal.timeout(60_000),
};

describe('a process that is asked', () => {
  test('is paused, looked at, and goes on', async () => {
    const { inspector, calls } = paper({ frames });
    assert.deepEqual(await interrogate(inspector, options), {
      paused: true,
      stack: '    at checkout (/srv/app.js:12:5)',
      at: 'checkout (/srv/app.js:12:5)',
      requests: [note],
    });
    assert.deepEqual(calls, ['Debugger.enable', 'Debugger.pause', 'Runtime.evaluate', 'Debugger.resume']);
  });

  test('is idle where it sleeps on, and is not paused by the question', async () => {
    const { inspector, calls } = paper();
    const testimony = await interrogate(inspector, { ...options, sleeps: async () => true });
    assert.deepEqual(testimony, { paused: false, stack: null, at: null, requests: [note] });
    assert.deepEqual(calls, ['Debugger.enable', 'Debugger.pause', 'Debugger.disable', 'Runtime.evaluate']);
  });

  for (const told of [undefined, null, 7, {}, { requests: 'x' }, { requests: [{ method: 'GET' }] }]) {
    test(`names no requests where it answers ${JSON.stringify(told)}`, async () => {
      const { requests } = await interrogate(paper({ frames, told: told ?? null }).inspector, options);
      assert.equal(requests, null);
    });
  }

  test('that answers nothing is not taken for one that is late', async () => {
    await assert.rejects(interrogate(paper({ fails: 'Debugger.enable' }).inspector, options), (error) => {
      return error instanceof Error && !(error instanceof TooLate);
    });
  });

  test('that stops answering on the way is late', async () => {
    await assert.rejects(
      interrogate(paper({ frames, fails: 'Runtime.evaluate' }).inspector, options),
      TooLate,
    );
  });

  test('that neither pauses nor sleeps is late when time is up', async () => {
    const { inspector } = paper();
    await assert.rejects(interrogate(inspector, { ...options, signal: AbortSignal.timeout(30) }), TooLate);
  });
});
