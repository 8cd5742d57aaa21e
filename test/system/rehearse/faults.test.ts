import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { allProcesses, withEnvironment } from '../../../src/processes.js';
import { sandboxVariable } from '../../../src/rehearse/reports.js';
import type { Finding } from '../../../src/rehearse/verdict.js';
import { run } from '../../integration/run.js';
import { fixtures, mainPath, plainEnvironment } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';

/** ms */
const limit = 900_000;

async function findings(
  t: TestContext,
  app: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<readonly Finding[]> {
  const folder = join(fixtures, 'rehearse');
  const ran = await run(
    t,
    { args: ['rehearse', join(folder, app), '--json', ...args], cwd: folder, env },
    limit,
  );
  assert.ok(ran.code === 0 || ran.code === 70, ran.stderr);
  const report = JSON.parse(ran.stdout) as { readonly findings: readonly Finding[] };
  assert.equal(ran.code === 70, report.findings.length > 0);
  return report.findings;
}

function told(all: readonly Finding[]): readonly string[] {
  return all.map(({ kind, at }) => `${kind} ${at?.replace(/.*\//, '')}`).sort();
}

describe('a whole rehearsal', () => {
  test('that is killed leaves no process and no folder behind', {
    skip: !existsSync('/proc/self/environ'),
  }, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'rehearsal-killed-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const app = join(fixtures, 'rehearse', 'faultless.cjs');
    const args = [mainPath, 'rehearse', app, '--only', 'load', '--duration', '10m'];
    const rehearsal = spawn(process.execPath, args, {
      env: { ...plainEnvironment(), TMPDIR: folder },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    t.after(() => rehearsal.kill('SIGKILL'));
    let said = '';
    rehearsal.stderr.on('data', (chunk) => {
      said += chunk;
    });
    await waitFor('the load', () => said.includes('rehearsing: load'), { timeout: limit });
    const [sandbox = ''] = readdirSync(folder);
    const inIt = async () =>
      withEnvironment(`${sandboxVariable}=${join(folder, sandbox)}`, await allProcesses());
    assert.ok((await inIt()).length >= 3, 'a daemon and two workers');
    rehearsal.kill('SIGKILL');
    await waitFor('the end of the sandbox', inIt, { timeout: limit, until: (pids) => pids.length === 0 });
    await waitFor('an empty folder', () => readdirSync(folder), {
      timeout: limit,
      until: (names) => names.length === 0,
    });
  });

  test('names all three faults of an app with their lines', async (t) => {
    const all = await findings(t, 'three-faults.cjs', ['--paths', join(fixtures, 'rehearse', 'paths.txt')]);
    assert.deepEqual(
      told(all),
      [
        'blocked-event-loop three-faults.cjs:13',
        'leak three-faults.cjs:6',
        'sigterm-loses-requests three-faults.cjs:24',
      ],
      JSON.stringify(all, null, 2),
    );
  });

  test('finds nothing in an app without a fault', async (t) => {
    assert.deepEqual(await findings(t, 'faultless.cjs'), []);
  });

  test('names an app that never ends, and what it left behind', async (t) => {
    const all = await findings(t, 'never-ends.cjs', ['--only', 'boot,reload,stop']);
    assert.deepEqual(told(all), ['endless-shutdown never-ends.cjs:8'], JSON.stringify(all, null, 2));
  });

  test('names the path that waits for a silent database', async (t) => {
    const database = createServer((socket) => void socket.on('error', () => {}).pipe(socket)).listen(
      0,
      '127.0.0.1',
    );
    t.after(() => void database.close());
    await once(database, 'listening');
    const { port } = database.address() as AddressInfo;
    const all = await findings(t, 'waits-for-database.mjs', ['--only', 'cut', '--cut', 'DATABASE_URL'], {
      DATABASE_URL: `echo://127.0.0.1:${port}`,
    });
    assert.deepEqual(told(all), ['no-timeout undefined'], JSON.stringify(all, null, 2));
  });

  test('says why an app does not serve', async (t) => {
    const [finding] = await findings(t, '../apps/throws.cjs');
    assert.equal(finding?.kind, 'no-boot');
  });
});
