import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { repoRoot, startDaemon } from '../../support/process.js';
import { folder } from '../../unit/control/place.js';

/** What `npm run build` made, less the files that one of its files requires and the others do not. */
function withoutChunksOf(t: TestContext, file: string): string {
  const place = folder(t);
  cpSync(join(repoRoot, 'dist'), join(place, 'dist'), { recursive: true });
  cpSync(join(repoRoot, 'package.json'), join(place, 'package.json'));
  symlinkSync(join(repoRoot, 'node_modules'), join(place, 'node_modules'));
  const named = (path: string) =>
    [...readFileSync(join(place, 'dist', path), 'utf8').matchAll(/chunks\/[\w.-]+\.js/g)].map(
      ([chunk]) => chunk,
    );
  const others = ['cli/start.js', 'worker/start.js'].filter((other) => other !== file).flatMap(named);
  for (const chunk of named(file))
    if (!others.includes(chunk)) rmSync(join(place, 'dist', chunk), { force: true });
  assert.ok(readdirSync(join(place, 'dist', 'chunks')).length > 0);
  return place;
}

describe('an installation without all of its files', () => {
  test('says so where the command needs one, and ends with 75', async (t) => {
    const place = withoutChunksOf(t, 'cli/start.js');
    const daemon = startDaemon({
      t,
      args: ['serve', '--port', '0'],
      script: join(place, 'dist/cli/main.js'),
    });
    assert.deepEqual(await daemon.waitForExit(), { code: 75, signal: null });
    assert.match(daemon.output(), /^rom-agent cannot be loaded; reinstall it unless .* Cannot find module/m);
  });

  test('says so where a worker needs one, and the first start ends with 75', async (t) => {
    const place = withoutChunksOf(t, 'worker/start.js');
    const env = {
      ROM_AGENT_CONTROL_SOCKET: join(place, 'control.sock'),
      ROM_AGENT_STATE_DIR: join(place, 'state'),
    };
    const args = ['serve', '--port', '0', '--workers', '1'];
    const daemon = startDaemon({ t, args, env, script: join(place, 'dist/cli/main.js') });
    assert.deepEqual(await daemon.waitForExit(), { code: 75, signal: null });
    assert.match(daemon.output(), /cannot start: rom-agent's worker cannot be loaded; .*Cannot find module/);
  });
});
