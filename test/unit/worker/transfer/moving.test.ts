import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import test from 'node:test';
import { createMoving, testMove } from '../../../../src/worker/transfer/moving.js';
import { waitFor } from '../../../support/wait.js';
import { asked, desk, echo, get } from './hand-on-desk.js';

const shared = { balance: 'auto', dispatch: 'shared', sticky: 'off' } as const;

function trial(more: Partial<Parameters<typeof createMoving>[0]['settings']>, failure: string | null = null) {
  const said: [string, boolean][] = [];
  let tests = 0;
  const test = async (): Promise<string | null> => {
    tests++;
    return failure;
  };
  const say = (...line: [string, boolean]): void => void said.push(line);
  const create = (version = '24.1.0') =>
    createMoving({ settings: { ...shared, ...more }, say, test, version });
  return { said, create, tests: () => tests };
}

test('the self-test of moves passes on this Node, and nobody hears of a request', async (t) => {
  let requests = 0;
  const count = (): void => void requests++;
  subscribe('http.server.request.start', count);
  t.after(() => unsubscribe('http.server.request.start', count));
  assert.equal(await testMove(), null);
  assert.equal(requests, 0);
});

test('a worker takes part once its self-test has passed', async () => {
  const { said, create } = trial({});
  const moving = create();
  assert.equal(moving.isAble(), false);
  await moving.begin();
  assert.deepEqual([moving.isAble(), said], [true, []]);
});

test('a worker whose self-test fails takes no part, and says why', async () => {
  const { said, create } = trial({}, 'bytes are not counted');
  const moving = create();
  await moving.begin();
  assert.equal(moving.isAble(), false);
  assert.deepEqual(said, [
    [
      'connections stay with the worker that accepted them: the self-test of moves failed: bytes are not counted',
      false,
    ],
  ]);
});

test('a Node on which nothing was tested is for those who have asked for it', async () => {
  const auto = trial({});
  const moving = auto.create('23.4.0');
  await moving.begin();
  assert.deepEqual([moving.isAble(), auto.tests(), auto.said.length], [false, 0, 1]);
  const on = trial({ balance: 'on' });
  const other = on.create('23.4.0');
  await other.begin();
  assert.deepEqual([other.isAble(), on.said], [true, []]);
});

test('nothing is tested where nothing is to be moved', async () => {
  for (const settings of [{ balance: 'off' }, { sticky: 'cookie' }, { dispatch: 'reuseport' }] as const) {
    const { said, create, tests } = trial(settings);
    const moving = create();
    await moving.begin();
    assert.deepEqual([moving.isAble(), tests(), said], [false, 0, []]);
  }
});

test('where the app listens for connections itself they stay, and it is said once', async (t) => {
  const place = await echo(t);
  const { handOn, told } = desk(place, true, 'auto');
  await asked(t, place.port, get('/'));
  await asked(t, place.port, get('/'));
  await waitFor('the reason', () => told.length);
  assert.equal(handOn.kept(), 0);
  assert.equal(new Set(told).size, 1);
});

test('where something of the app is before node:http connections stay, whatever was asked for', async (t) => {
  const place = await echo(t);
  const inner = place.server.listeners('connection') as ((...args: unknown[]) => void)[];
  place.server.removeAllListeners('connection');
  place.server.on('connection', (socket) => {
    for (const listener of inner) Reflect.apply(listener, place.server, [socket]);
  });
  const { handOn } = desk(place, true, 'on');
  await asked(t, place.port, get('/'));
  assert.equal(handOn.kept(), 0);
});
