import assert from 'node:assert/strict';
import test from 'node:test';
import { type Children, type Marked, trackChildren } from '../../../src/master/children.js';

interface Fakes {
  readonly children: Children;
  /** What is there, by its mark. */
  readonly there: Map<string, Marked[]>;
  readonly signals: string[];
  readonly said: string[];
  /** How often the whole machine was looked at. */
  looks: number;
}

/** Fake processes, of which some do not end by SIGTERM. */
function fakes(stubborn: readonly number[] = []): Fakes {
  const all: Fakes = { children: make(), there: new Map(), signals: [], said: [], looks: 0 };
  function make(): Children {
    return trackChildren({
      find: async (marks, among) => {
        if (among === undefined) all.looks++;
        const found = [...marks].flatMap((mark) => all.there.get(mark) ?? []);
        return among === undefined ? found : found.filter(({ pid }) => among.some((one) => one.pid === pid));
      },
      kill: (pid, signal) => {
        all.signals.push(`${signal} ${pid}`);
        if (signal === 'SIGTERM' && stubborn.includes(pid)) return;
        for (const [mark, list] of all.there)
          all.there.set(
            mark,
            list.filter((each) => each.pid !== pid),
          );
      },
      sleep: async () => {},
      info: (message) => void all.said.push(message),
      warn: (message) => void all.said.push(`warn: ${message}`),
    });
  }
  return all;
}

function markOf({ children }: Fakes, key: number): string {
  return String(Object.values(children.mark(key))[0]);
}

test('what a worker leaves behind is asked to end, and what others have started is left alone', async () => {
  const all = fakes();
  all.there.set(markOf(all, 1), [{ pid: 10, name: 'ffmpeg' }]);
  all.there.set(markOf(all, 2), [{ pid: 20, name: 'ffmpeg' }]);
  all.children.left(1);
  await all.children.settled();
  assert.deepEqual(all.signals, ['SIGTERM 10']);
  assert.deepEqual(all.said, ['a worker exited and left ffmpeg (pid 10) behind: sending SIGTERM']);
});

test('who does not end is killed, and whoever came meanwhile', async () => {
  const all = fakes([10]);
  all.there.set(markOf(all, 1), [{ pid: 10, name: 'sh' }]);
  all.children.left(1);
  await all.children.settled();
  assert.deepEqual(all.signals, ['SIGTERM 10', 'SIGKILL 10']);
  assert.match(
    all.said[1] ?? '',
    /^warn: sh \(pid 10\), left behind by a worker, did not end within 2000 ms/,
  );
});

test('workers that are gone together take one look, and one that is gone during it another', async () => {
  const all = fakes();
  for (const key of [1, 2, 3]) all.children.left(key);
  await Promise.resolve();
  all.children.left(4);
  await all.children.settled();
  assert.equal(all.looks, 2);
  assert.deepEqual([all.signals, all.said], [[], []]);
});

test('a run of the master knows its own marks only', () => {
  assert.notEqual(markOf(fakes(), 1), markOf(fakes(), 1));
});
