import assert from 'node:assert/strict';
import test from 'node:test';
import { createShutdown, type ShutdownSeam } from '../../../../src/worker/drain/shutdown.js';
import { waitFor } from '../../../support/wait.js';

/** What a worker says and does until it ends, with a drain that takes so long. */
async function ending(drain: () => Promise<void>, connections: number): Promise<readonly unknown[]> {
  const said: unknown[] = [];
  await new Promise<void>((resolve) => {
    const shutdown = createShutdown({
      servers: { all: [], counts: () => ({ inFlight: connections, connections }) },
      drainer: { drain },
      isHanded: false,
      signals: { deliver: () => new Promise(() => {}) },
      channel: {
        send: async (message: unknown) => void said.push(message),
        unref: () => {},
      },
      exit: (code: number) => {
        said.push({ exit: code });
        resolve();
      },
      onError: (message: string) => said.push({ error: message }),
      onWarning: (message: string) => said.push({ warning: message }),
    } satisfies Record<keyof ShutdownSeam, unknown> as unknown as ShutdownSeam);
    shutdown.begin({ timeout: 20, last: true });
    // What it waits for keeps no process running.
    const alive = setInterval(() => {}, 1_000);
    setImmediate(function look() {
      if (said.some((each) => typeof each === 'object' && each !== null && 'exit' in each))
        clearInterval(alive);
      else setTimeout(look, 5);
    });
  });
  return said;
}

const never = () => new Promise<void>(() => {});

test('at the deadline a worker cuts its connections, and says how many', async () => {
  assert.deepEqual(await ending(never, 2), [{ type: 'cut', requests: 2, connections: 2 }, { exit: 0 }]);
});

test('a worker without connections that still waits for the others to close has nothing to warn of', async () => {
  assert.deepEqual(await ending(never, 0), [{ exit: 0 }]);
});

test("where the connections are gone it is the app's own ending that did not end", async () => {
  assert.deepEqual(await ending(async () => {}, 0), [
    { type: 'drained' },
    { warning: "the app's own ending did not end: cut at the deadline" },
    { exit: 0 },
  ]);
});

test('a second order ends the patience of the first: the deadline is that of its drain from then on', async () => {
  const seen: boolean[] = [];
  let isPatient = (): boolean => false;
  const shutdown = createShutdown({
    servers: { all: [], counts: () => ({ inFlight: 0, connections: 1 }) },
    drainer: {
      drain: async (call: { isPatient: () => boolean }) => {
        isPatient = call.isPatient;
        await never();
      },
    },
    ...{ isHanded: false, signals: { deliver: never }, onError: () => {}, onWarning: () => {} },
    channel: { send: async () => {}, unref: () => {} },
    exit: () => void seen.push(true),
  } as unknown as ShutdownSeam);
  shutdown.begin({ timeout: 20, last: false, patience: 600_000 });
  assert.equal(isPatient(), true);
  shutdown.begin({ timeout: 20, last: false });
  assert.equal(isPatient(), false);
  // A third one changes nothing.
  shutdown.begin({ timeout: 600_000, last: false });
  await waitFor('the end', () => seen.length === 1);
});
