import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { connectControl } from '../../../src/control/client.js';
import { patience, patient, type Service, serve, temporaryDirectory } from '../../integration/service.js';
import { smallDisk } from '../../support/small-disk.js';
import { waitFor } from '../../support/wait.js';

/** Leaves no byte free. */
const fills = (disk: string): string => `dd if=/dev/zero bs=1k of=${disk}/filler 2>/dev/null`;

describe('on a full disk', { timeout: 1_800_000 }, () => {
  for (const when of ['before the run begins', 'by the run itself'] as const) {
    it(`that is filled ${when}, a run that is over is over, and runs once`, async (t) => {
      const disk = smallDisk(t, '1m');
      if (disk === null) return t.skip('a small file system needs root');
      const folder = temporaryDirectory(t);
      const config = join(folder, 'rom-agent.toml');
      const ran = join(folder, 'ran');
      const fill = when === 'by the run itself' ? `; ${fills(disk)}` : '';
      writeFileSync(
        config,
        `[jobs.report]
schedule = "0 0 29 2 *"
on_lost = "rerun"
command = "echo $ROM_JOB_RUN >> ${ran}${fill}; echo written"
[jobs.tick]
schedule = "* * * * * *"
command = "echo $ROM_JOB_DUE >> ${ran}.ticks"
`,
      );
      const env = { ...patient, ROM_AGENT_CONFIG: config, ROM_AGENT_STATE_DIR: disk, WORKERS: '1' };
      const first = await serve(t, { env });
      const ticks = () => (existsSync(`${ran}.ticks`) ? lines(`${ran}.ticks`) : []);
      await waitFor('a first tick', ticks, { timeout: patience, until: ({ length }) => length > 0 });
      if (when === 'before the run begins') execFileSync('sh', ['-c', `${fills(disk)}; true`]);
      assert.equal((await clientOf(first).runJob('report', 'ann', () => {})).verdict, 'done');
      const before = ticks().length;
      assert.equal(statSync(join(disk, 'filler')).blocks > 0, true);
      await waitFor('ticks on the full disk', ticks, {
        timeout: patience,
        until: ({ length }) => length > before + 2,
      });
      assert.deepEqual(await verdictsOf(first, 'report'), ['done']);

      first.daemon.kill('SIGKILL');
      const second = await serve(t, { env });
      assert.deepEqual(
        await verdictsOf(second, 'report'),
        ['done'],
        'the next daemon reads it off the full disk',
      );
      assert.equal(lines(ran).length, 1);
      rmSync(join(disk, 'filler'));
      assert.equal((await clientOf(second).runJob('report', 'ann', () => {})).verdict, 'done');
      rmSync(join(disk, 'filler'), { force: true });
      assert.deepEqual(await verdictsOf(second, 'report'), ['done', 'done']);
      // One may have been under way when the first daemon was killed.
      const lost = (await verdictsOf(second, 'tick')).filter((verdict) => verdict === 'lost');
      assert.ok(lost.length <= 1, `${lost.length} runs that were over are lost`);
      const all = ticks();
      assert.equal(new Set(all).size, all.length, 'a due time ran twice');
    });
  }
});

const clientOf = ({ control }: Service) => connectControl({ path: String(control), timeout: patience });

async function verdictsOf(service: Service, job: string): Promise<readonly (string | null)[]> {
  const { runs } = await clientOf(service).jobLog(job, null);
  return runs.map(({ verdict }) => verdict);
}

function lines(file: string): readonly string[] {
  return readFileSync(file, 'utf8').trim().split('\n');
}
