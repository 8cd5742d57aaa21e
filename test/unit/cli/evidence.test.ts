import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { heapSnapshotCommand, profileCommand, stackCommand } from '../../../src/cli/look/evidence.js';
import { exitCodes, RomAgentError } from '../../../src/errors.js';
import type { Found, StackAnswer } from '../../../src/protocol/control-api.js';
import { fakeSession } from './fake-session.js';

type Stack = Found<StackAnswer>;

const running: Stack = {
  worker: 2,
  pid: 4712,
  state: 'running',
  stack: '    at checkout (/srv/app.js:12:5)\n    at processImmediate (node:internal/timers:483:21)',
  at: 'checkout (/srv/app.js:12:5)',
  requests: [
    { method: 'GET', path: '/orders/17', ageMs: 12_300 },
    { method: 'POST', path: '/orders', ageMs: 40 },
  ],
  detail: null,
};
const still = { stack: null, at: null, requests: null, detail: null };

async function shown(found: Stack): Promise<string> {
  const session = fakeSession({ stack: async () => found });
  assert.equal(await stackCommand(session, '2', {}), 0);
  return session.out();
}

describe('rom-agent stack', () => {
  test('shows where a worker is, and for whom', async () => {
    assert.equal(
      await shown(running),
      `worker 2 (pid 4712) runs checkout (/srv/app.js:12:5)
    at checkout (/srv/app.js:12:5)
    at processImmediate (node:internal/timers:483:21)
2 requests in flight
    GET /orders/17  12.3 s
    POST /orders  0 s
`,
    );
  });

  for (const [more, words] of [
    [{ ...still, state: 'idle', requests: [] }, 'is idle: no JavaScript runs in it\nno requests in flight'],
    [{ ...still, state: 'stopped' }, 'is stopped by a signal'],
    [
      { ...still, state: 'blocked', detail: 'it waits in do_epoll_wait; its child is "sleep 30" (pid 8)' },
      'is blocked in a system call\nit waits in do_epoll_wait; its child is "sleep 30" (pid 8)',
    ],
    [{ ...still, state: 'starved' }, 'gets no CPU'],
    [
      { ...still, state: 'running', detail: 'no stack: its inspector does not open' },
      'runs\nno stack: its inspector does not open',
    ],
    [
      { ...still, state: 'unknown', detail: 'it has no inspector' },
      'is in an unknown state\nit has no inspector',
    ],
  ] as const) {
    test(`says that it ${words.split('\n')[0]}`, async () => {
      assert.equal(await shown({ ...running, ...more }), `worker 2 (pid 4712) ${words}\n`);
    });
  }

  test('prints the document as it came where JSON is asked for', async () => {
    const session = fakeSession({ stack: async () => running });
    await stackCommand(session, '2', { json: true });
    assert.deepEqual(JSON.parse(session.out()), running);
  });

  for (const worker of ['0', '-1', 'all', '1.5', '']) {
    test(`refuses ${JSON.stringify(worker)} for a worker, with 64`, async () => {
      await assert.rejects(stackCommand(fakeSession({}), worker, {}), {
        exitCode: 64,
        message: `stack: ${JSON.stringify(worker)} is not right: expected the number of a worker, which rom-agent status shows`,
      });
    });
  }
});

describe('rom-agent profile and heap-snapshot', () => {
  const path = '/var/lib/rom-agent/evidence/x.cpuprofile';

  test('print the path of the file and nothing else', async () => {
    const asked: unknown[] = [];
    const session = fakeSession({
      profile: async (...call) => {
        asked.push(call);
        return { path, bytes: 7 };
      },
      heapSnapshot: async (...call) => {
        asked.push(call);
        return { path, bytes: 7 };
      },
    });
    assert.equal(await profileCommand(session, '2', { seconds: '30' }), 0);
    assert.equal(await heapSnapshotCommand(session, '1', { summary: false }), 0);
    assert.equal(session.out(), `${path}\n${path}\n`);
    assert.deepEqual(asked, [
      [2, 30, 'alice'],
      [1, 'alice'],
    ]);
  });

  for (const seconds of ['0', '601', '1.5', '-1', 'x', '']) {
    test(`refuse ${JSON.stringify(seconds)} seconds, with 64`, async () => {
      await assert.rejects(profileCommand(fakeSession({}), '1', { seconds }), {
        exitCode: 64,
        message: `profile: --seconds ${JSON.stringify(seconds)} is not right: expected a number from 1 to 600`,
      });
    });
  }

  test('end with what the daemon says where it refuses', async () => {
    const refusal = new RomAgentError('worker 1 is writing a CPU profile already', {
      exitCode: exitCodes.tryAgain,
    });
    const profile = () => Promise.reject(refusal);
    await assert.rejects(profileCommand(fakeSession({ profile }), '1', { seconds: '10' }), refusal);
  });
});
