import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createOwners, findOwners } from '../../../src/cli/look/log-owners.js';
import { exitCodes, RomAgentError } from '../../../src/errors.js';
import type { LogLine } from '../../../src/protocol/log-line.js';
import type { WhyLine } from '../../../src/protocol/why.js';
import { stats, worker } from './fake-session.js';

const printed = (pid: number, more: Partial<LogLine> = {}): LogLine => ({
  atMs: 5_000,
  level: 'info',
  worker: null,
  pid,
  from: 'app',
  message: 'low on tea',
  fields: {},
  ...more,
});

const why = (atMs: number, pid: number | null, slot: number | null): WhyLine => ({
  at: new Date(atMs).toISOString(),
  worker: slot,
  pid,
  generation: 1,
  kind: 'ready',
  text: 'ready',
  cause: null,
  advice: null,
});

const refused = (): Promise<never> =>
  Promise.reject(new RomAgentError('no daemon', { exitCode: exitCodes.addressInUse }));
const nothing = async (): Promise<readonly WhyLine[]> => [];

describe('what an app printed', () => {
  test('bears the number of the worker that has its PID', () => {
    const owners = createOwners();
    owners.note(4711, 2, 1_000);
    assert.equal(owners.named(printed(4711)).worker, 2);
    assert.equal(owners.named(printed(4712)).worker, null);
  });

  test('before its worker was known is of that worker, too', () => {
    const owners = createOwners();
    owners.note(4711, 2, 9_000);
    assert.equal(owners.named(printed(4711)).worker, 2);
  });

  test('is of the worker that had the PID at that time', () => {
    const owners = createOwners();
    owners.note(4711, 1, 1_000);
    owners.note(4711, 3, 6_000);
    assert.equal(owners.named(printed(4711)).worker, 1);
    assert.equal(owners.named(printed(4711, { atMs: 6_000 })).worker, 3);
  });

  test('alone gets a number: the lines of master and workers have theirs', () => {
    const owners = createOwners();
    owners.note(4711, 2, 1_000);
    assert.equal(owners.named(printed(4711, { from: 'master' })).worker, null);
    assert.equal(owners.named(printed(4711, { worker: 5 })).worker, 5);
  });
});

describe('the workers behind the PIDs', () => {
  test('are those of the record, which may be gone, and those that run', async () => {
    const owners = await findOwners({
      client: {
        why: async () => ({
          lines: [why(1_000, 4600, 1), why(2_000, null, 1), why(3_000, 4601, null)],
          problem: null,
        }),
        status: async () => stats({ workers: [worker(2), worker(null, { pid: 4699 })] }),
      },
      recorded: nothing,
      clock: () => 9_000,
    });
    const numbers = [4600, 4601, 4712, 4699].map((pid) => owners.named(printed(pid)).worker);
    assert.deepEqual(numbers, [1, null, 2, null]);
  });

  test('are those of the files where no daemon answers', async () => {
    const owners = await findOwners({
      client: { why: refused, status: refused },
      recorded: async () => [why(1_000, 4600, 4)],
      clock: () => 9_000,
    });
    assert.equal(owners.named(printed(4600)).worker, 4);
  });
});
