import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createLink, type LinkSeam } from '../../../src/admin/link.js';
import { examples } from '../../../src/control/openapi.js';
import { waitFor } from '../../support/wait.js';

/** A daemon that is there or not, and a clock that a test turns. */
function world() {
  const states: string[] = [];
  const pauses: { ms: number; call: () => void }[] = [];
  let isThere = true;
  let now = 0;
  let endEvents = (): void => {};
  let asked = 0;
  let watched = false;
  const seam: LinkSeam = {
    client: {
      status: async () => {
        asked += 1;
        if (!isThere) throw new Error('no daemon');
        return examples.Status;
      },
      events: (_, signal) =>
        new Promise((resolve) => {
          endEvents = resolve;
          signal?.addEventListener('abort', () => resolve());
        }),
      logs: ({ signal }) =>
        new Promise((resolve) => {
          signal?.addEventListener('abort', () => resolve());
        }),
    },
    clock: () => now,
    after: (ms, call) => {
      const pause = { ms, call };
      pauses.push(pause);
      return () => void pauses.splice(pauses.indexOf(pause), 1);
    },
    isWatched: () => watched,
    onState: ({ state }) => states.push(state),
    onStats: () => {},
    onEvent: () => {},
    onLog: () => {},
  };
  /** Waits for the next pause and lets it pass. */
  const passPause = async (): Promise<number> => {
    await waitFor('a pause', () => pauses.length === 1);
    const [pause] = pauses.splice(0);
    now += pause?.ms ?? 0;
    pause?.call();
    return pause?.ms ?? 0;
  };
  return {
    seam,
    states,
    pauses,
    passPause,
    asked: () => asked,
    be: (is: { there?: boolean; watched?: boolean }) => {
      isThere = is.there ?? isThere;
      watched = is.watched ?? watched;
      if (is.there === false) endEvents();
    },
  };
}

describe('the connection to the daemon', () => {
  test('asks once in ten seconds while nobody looks, and each second while somebody does', async () => {
    const { seam, passPause, be, pauses, asked } = world();
    const link = createLink(seam);
    const over = link.run();
    assert.equal(await passPause(), 10_000);
    await waitFor('the next pause', () => pauses.length === 1);
    be({ watched: true });
    const before = asked();
    link.wake();
    await waitFor('a question', () => asked() === before + 1);
    assert.equal(await passPause(), 1_000);
    link.end();
    await over;
  });

  test('is made again after a daemon was lost, with waits that grow to two seconds', async () => {
    const { seam, passPause, be, states, pauses } = world();
    const link = createLink(seam);
    const over = link.run();
    await waitFor('the first pause', () => pauses.length === 1);
    assert.deepEqual([states, link.state().reason], [['up'], null]);
    be({ there: false });
    await waitFor('the loss', () => link.state().state === 'lost');
    const waits: number[] = [];
    for (let tries = 0; tries < 5; tries++) waits.push(await passPause());
    assert.deepEqual(waits, [250, 500, 1_000, 2_000, 2_000]);
    assert.equal(link.state().reason, 'no daemon');
    const { sinceMs } = link.state();
    assert.equal(sinceMs, 0);
    be({ there: true });
    await passPause();
    await waitFor('the daemon', () => link.state().state === 'up');
    assert.equal(states.at(-1), 'up');
    link.end();
    await over;
  });

  test('ends at once, also while it waits', async () => {
    const { seam, be, pauses } = world();
    be({ there: false });
    const link = createLink(seam);
    const over = link.run();
    await waitFor('the pause', () => pauses.length === 1);
    link.end();
    await over;
    assert.equal(pauses.length, 0);
  });
});
