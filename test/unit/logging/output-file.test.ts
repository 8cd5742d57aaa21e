import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { followOutput } from '../../../src/logging/output-file.js';
import { waitFor } from '../../support/wait.js';

describe('standard output that is a file', () => {
  it('is the file that has the path, after each rotation', async (t) => {
    const { path, fd } = opened(t);
    const moves: number[] = [];
    const output = followOutput({ path, fd, interval: 5, onMoved: (next) => moves.push(next) });
    for (const nth of [1, 2, 3]) {
      fs.renameSync(path, `${path}.0`);
      fs.writeFileSync(path, '');
      await waitFor('the move', () => moves.length === nth);
      fs.writeSync(output.fd, `${nth}\n`);
      assert.equal(fs.readFileSync(path, 'utf8'), `${nth}\n`);
    }
    assert.equal(output.fd, moves.at(-1));
    fs.writeSync(fd, 'the inherited one stays open\n');
  });

  it('stays the old one while there is no new one, and where a link has its name', async (t) => {
    const { path, fd } = opened(t);
    const output = followOutput({ path, fd, interval: 5 });
    fs.renameSync(path, `${path}.0`);
    fs.writeFileSync(`${path}.else`, '');
    fs.symlinkSync(`${path}.else`, path);
    const looks = await someLooks();
    assert.ok(looks > 0);
    assert.equal(output.fd, fd);
    fs.rmSync(path);
    fs.writeFileSync(path, '');
    await waitFor('the move', () => output.fd !== fd);
  });

  it('is not followed where it is no file, or nobody names one', async (t) => {
    const { path, fd } = opened(t);
    const nobody = followOutput({ path: null, fd, interval: 5 });
    const pipe = fs.openSync('/dev/null', 'w');
    const device = followOutput({ path, fd: pipe, interval: 5 });
    fs.rmSync(path);
    fs.writeFileSync(path, '');
    await someLooks();
    assert.deepEqual([nobody.fd, device.fd], [fd, pipe]);
    fs.closeSync(pipe);
  });
});

function opened(t: TestContext): { path: string; fd: number } {
  const directory = fs.mkdtempSync(join(tmpdir(), 'rom-agent-output-'));
  t.after(() => fs.rmSync(directory, { recursive: true }));
  const path = join(directory, 'rom-agent.log');
  return { path, fd: fs.openSync(path, 'a') };
}

/** As many turns of a timer as one that looks has had, begun before this. */
async function someLooks(): Promise<number> {
  let turns = 0;
  const timer = setInterval(() => turns++, 5);
  await waitFor('turns of a timer', () => turns > 10);
  clearInterval(timer);
  return turns;
}
