import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { exitCodes, RomAgentError } from '../../../../src/errors.js';
import { holdListeners } from '../../../../src/worker/app/listen-calls.js';

function clusterOnPaper() {
  const asked: unknown[][] = [];
  const giver = {
    name: 'cluster',
    _getServer(this: { name: string }, ...args: unknown[]) {
      asked.push([this.name, ...args]);
    },
  };
  return { asked, giver };
}

describe('holdListeners', () => {
  test('what an app listens on is not asked of the master before the spare is promoted, and then as it was', async () => {
    const { asked, giver } = clusterOnPaper();
    const listeners = holdListeners(giver);
    giver._getServer('server', { port: 3000 });
    giver._getServer('another', { port: 3001 });
    await listeners.held;
    assert.deepEqual(asked, []);
    listeners.open();
    assert.deepEqual(asked, [
      ['cluster', 'server', { port: 3000 }],
      ['cluster', 'another', { port: 3001 }],
    ]);
  });

  test('what listens after the promotion is not held any more', () => {
    const { asked, giver } = clusterOnPaper();
    holdListeners(giver).open();
    giver._getServer('late', { port: 3002 });
    assert.deepEqual(asked, [['cluster', 'late', { port: 3002 }]]);
  });

  test('a Node that asks in another way cannot have spares, and says so', () => {
    assert.throws(
      () => holdListeners({}),
      (error: unknown) =>
        error instanceof RomAgentError &&
        error.exitCode === exitCodes.noResources &&
        error.message ===
          `spares: Node ${process.versions.node} has no way to hold back listeners; expected spares = 0`,
    );
  });
});
