import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { exitCodes, RomAgentError } from '../../../src/errors.js';
import { listServices } from '../../../src/setup/list.js';
import { loadInput } from '../../support/load-input.js';
import { FakeHost } from './fake-host.js';

const unit = '/usr/lib/systemd/system/rom-agent.service';
const shown =
  'Id=rom-agent.service\nLoadState=loaded\nActiveState=inactive\nSubState=dead\nUnitFileState=disabled\nMainPID=0';

async function states(files: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const { seam } = new FakeHost({
    files: { '/run/systemd/system/x': '', [unit]: '[Service]\n', ...files },
    run: async () => shown,
  });
  const status = async () => {
    throw new RomAgentError('nobody', { exitCode: exitCodes.addressInUse });
  };
  const listed = await listServices({ ...seam, status }, loadInput({ readFile: seam.readFile }));
  return listed.map(({ name, state }) => `${name} ${state}`);
}

describe('the plain unit that a package brings along', () => {
  test('is no service to list as long as nobody has enabled or started it', async () => {
    assert.deepEqual(await states({ '/etc/rom-agent/rom-agent.toml': '' }), []);
  });

  test('is one where it has run', async () => {
    assert.deepEqual(await states({ '/var/lib/rom-agent/history.json': '' }), ['rom-agent disabled']);
  });
});
