import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemInput } from '../../../src/config/system.js';

describe('systemInput', () => {
  test('describes this very process', () => {
    const { machine, cwd, nodeVersion, readFile } = systemInput({});
    assert.ok(Number.isInteger(machine.cpus) && machine.cpus >= 1, `${machine.cpus} CPUs`);
    assert.ok(machine.memory > 64, `${machine.memory} MiB`);
    assert.equal(cwd, process.cwd());
    assert.equal(`v${nodeVersion}`, process.version);
    assert.throws(() => readFile('/no/such/file'), { code: 'ENOENT' });
  });
});
