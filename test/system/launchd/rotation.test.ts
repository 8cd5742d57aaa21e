import assert from 'node:assert/strict';
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ask, freePort } from '../../support/net.js';
import { fixtures, mainPath } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';
import { load } from './fixture.js';

const skip = !existsSync(mainPath) && process.env.CI !== 'true' && `${mainPath} is not built: npm run build`;
const patience = { timeout: 60_000 };

describe('the file that launchd opened, once newsyslog has renamed it', { skip }, () => {
  it('is left by the master, by workers that run and by those that follow', async (t) => {
    const port = await freePort();
    const app = join(fixtures, 'launchd', 'says.mjs');
    const { standin, job } = load(t, {
      args: [app, '--workers', '1', '--host', '127.0.0.1', '--port', String(port)],
      environment: { ROM_AGENT_RELOAD_SOAK: '0' },
    });
    const path = job.StandardOutPath;
    const text = () => readFileSync(path, 'utf8');
    const pid = async () => ((await ask({ port, path: '/' })).json as { pid: number }).pid;
    /** Asks until the worker writes to the file that has the path. */
    const speaks = async (name: string) => {
      const both = async () => {
        const who = await pid();
        return text().includes(`out ${who}\n`) && text().includes(`err ${who}\n`) ? who : 0;
      };
      return waitFor(`${name} to write to the new file`, both, { ...patience, until: (who) => who > 0 });
    };
    const first = await speaks('the worker');
    rotate(path);
    assert.equal(await speaks('the worker that runs'), first);
    process.kill(standin.pid() ?? 0, 'SIGHUP');
    await waitFor('the master to write to the new file', () => /"role":"master"/.test(text()), patience);
    await waitFor('another worker', pid, { ...patience, until: (who) => who !== first });
    await speaks('its successor');
    rotate(path);
    await speaks('the successor, after the next rotation,');
    const old = statSync(`${path}.0`).size;
    await speaks('the successor');
    assert.equal(statSync(`${path}.0`).size, old, 'nothing goes to the renamed file any more');
    await standin.bootout();
  });
});

/** As newsyslog(8) does it: a rename, then a file of its own making. */
function rotate(path: string): void {
  renameSync(path, `${path}.0`);
  writeFileSync(path, 'logfile turned over\n', { mode: 0o640 });
}
