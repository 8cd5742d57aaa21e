import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { fixtures } from '../support/process.js';
import { run } from './run.js';

test('a rehearsal names the line of a SIGTERM handler that exits before the answers', async (t) => {
  const { code, stdout, stderr } = await run(t, {
    args: [
      'rehearse',
      join(fixtures, 'rehearse', 'three-faults.cjs'),
      ...['--workers', '1', '--only', 'boot,sigterm', '--json'],
    ],
  });
  assert.equal(code, 70, stderr);
  const { findings } = JSON.parse(stdout) as { findings: { kind: string; at: string; text: string }[] };
  assert.deepEqual(
    findings.map(({ kind }) => kind),
    ['sigterm-loses-requests'],
    stdout,
  );
  assert.match(findings[0]?.at ?? '', /three-faults\.cjs:24$/);
  assert.match(
    findings[0]?.text ?? '',
    /process\.exit\(\) at .*three-faults\.cjs:25.*4 of 4 requests in flight lost/,
  );
});

test('a worker whose app closes its server at SIGTERM ends by itself in a reload', async (t) => {
  const { code, stdout, stderr } = await run(t, {
    args: [
      'rehearse',
      join(fixtures, 'rehearse', 'faultless.cjs'),
      '--workers',
      '1',
      '--only',
      'reload',
      '--json',
    ],
  });
  assert.equal(code, 0, `${stdout}${stderr}`);
});

test('a rehearsal of an app that does not exist, or whose report cannot be written, is refused before it begins', async (t) => {
  const missing = await run(t, { args: ['rehearse', join(fixtures, 'rehearse', 'nothing.cjs')] });
  assert.equal(missing.code, 66, missing.stdout);
  assert.match(missing.stderr, /app: ".*nothing\.cjs" \(from .+\) does not exist/);
  const app = join(fixtures, 'rehearse', 'faultless.cjs');
  const unwritable = await run(t, {
    args: ['rehearse', app, '--junit', join(fixtures, 'no-folder', 'a.xml')],
  });
  assert.equal(unwritable.code, 73, unwritable.stdout);
  assert.match(unwritable.stderr, /--junit ".*a\.xml" cannot be written/);
});
