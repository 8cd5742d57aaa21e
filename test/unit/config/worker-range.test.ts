import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadConfig } from '../../../src/config/load.js';
import { withWorkers } from '../../../src/config/resolve.js';
import { ConfigError, type Problem } from '../../../src/errors.js';
import { boundsOf } from '../../../src/settings/worker-count.js';
import { loadInput } from '../../support/load-input.js';

type Input = Parameters<typeof loadInput>[0];

async function workers(input: Input) {
  const { config, origins } = await loadConfig(loadInput(input));
  return [config.workers, origins.workers];
}

async function problemsOf(input: Input): Promise<readonly Problem[]> {
  try {
    await loadConfig(loadInput(input));
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

const file = (text: string): Input => ({ files: { '/etc/rom-agent/rom-agent.toml': text } });

describe('a range of workers', () => {
  test('comes from a flag, the environment or the file', async () => {
    assert.deepEqual(await workers({ flags: { workers: '2..8' } }), ['2..8', '--workers']);
    assert.deepEqual(await workers({ env: { WORKERS: '1..3' } }), ['1..3', 'WORKERS in the environment']);
    assert.equal((await workers(file('workers = "2..6"')))[0], '2..6');
  });

  test('goes up to one worker per CPU, and is no range where the CPUs are no more than its lower end', async () => {
    assert.deepEqual(await workers({ flags: { workers: '2..auto' } }), ['2..4', '--workers: CPU affinity']);
    assert.equal((await workers({ flags: { workers: '4..auto' } }))[0], 4);
    assert.equal((await workers({ flags: { workers: '6..auto' } }))[0], 6);
  });

  test('names what would be right', async () => {
    for (const value of ['8..2', '0..4', '2..2000', '2...8', '2..', '..8', '2-8', 'auto..8']) {
      const [problem] = await problemsOf({ flags: { workers: value } });
      assert.deepEqual(problem, {
        field: 'workers',
        value,
        source: '--workers',
        expected: '"auto", an integer from 1 to 1024, or a range of them such as "2..8" or "2..auto"',
      });
    }
  });

  test('is none of mode single', async () => {
    const [problem] = await problemsOf({ flags: { workers: '1..2', mode: 'single' } });
    assert.equal(problem?.field, 'workers');
  });

  test('divides the memory by its upper end, however many workers there are', async () => {
    const { config, effective } = await loadConfig(loadInput({ flags: { workers: '1..8', mode: 'turbo' } }));
    assert.equal(config.maxOldSpaceSize, 1_024);
    const heapWith = (number: number) => withWorkers(effective.max_old_space_size, number);
    assert.deepEqual([1, 2, 8, 16].map(heapWith), [1_024, 1_024, 1_024, 512]);
    const [problem] = await problemsOf({ flags: { workers: '1..8', mode: 'turbo', memoryBudget: '128' } });
    assert.equal(problem?.expected, 'at least 256 MiB, 32 for each of 8 workers');
  });

  test('counts in the restart intensity by the number in force', async () => {
    const { effective } = await loadConfig(loadInput({ flags: { workers: '2..8' } }));
    const intensityWith = (number: number) => withWorkers(effective['restart.intensity'], number);
    assert.deepEqual([2, 8].map(intensityWith), [15, 45]);
  });

  test('has two ends, and a number has the same one twice', () => {
    assert.deepEqual(boundsOf('2..16'), { min: 2, max: 16 });
    assert.deepEqual(boundsOf(4), { min: 4, max: 4 });
  });
});
