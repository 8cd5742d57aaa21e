import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { reapAdopted } from '../../../src/service-manager/adopted-children.js';

describe('children that process 1 has been given', () => {
  test('are waited for at the second look, since Node takes its own between two', () => {
    let zombies: number[] = [];
    const reaped: number[] = [];
    const look = reapAdopted({
      list: () => zombies,
      reap: (pid) => {
        reaped.push(pid);
        zombies = zombies.filter((other) => other !== pid);
      },
    });
    zombies = [7, 8];
    look();
    assert.deepEqual(reaped, []);
    // 8 was a child of Node's own.
    zombies = [7, 9];
    look();
    assert.deepEqual(reaped, [7]);
    look();
    assert.deepEqual(reaped, [7, 9]);
    // The kernel gives a number again: that one is new.
    zombies = [7];
    look();
    assert.deepEqual(reaped, [7, 9]);
  });
});
