import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createInTrouble } from '../../../src/master/hand-over.js';

test('trouble with connections is told at once, and then once a minute with how many there were', () => {
  const said: string[] = [];
  const timers: (() => void)[] = [];
  const trouble = createInTrouble({
    warn: (message, { connections, total }) => said.push(`${message.slice(0, 34)} ${connections} ${total}`),
    after: (_delay, act) => void timers.push(act),
  });
  const minute = (): void => {
    for (const act of timers.splice(0)) act();
  };
  for (let count = 0; count < 3; count++) trouble('late');
  trouble('ended');
  assert.deepEqual(said, [
    'a worker did not take a connection 1 1',
    'closed a connection that no worker 1 1',
  ]);
  said.length = 0;
  minute();
  assert.deepEqual(said, ['a worker did not take a connection 2 3']);
  minute();
  minute();
  assert.equal(said.length, 1);
  trouble('late');
  assert.equal(said[1], 'a worker did not take a connection 1 4');
});
