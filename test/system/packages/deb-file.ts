import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { repoRoot } from '../../support/process.js';
import { needsPrograms } from '../systemd/requirements.js';
import { buildDeb, must, stage } from './packages.js';

test('lintian has no objection to the package', needsPrograms('lintian', 'dpkg-deb'), async () => {
  const { file } = await buildDeb();
  const output = await must(['lintian', '--allow-root', '--fail-on', 'error,warning', '--info', file]);
  assert.doesNotMatch(output, /^[EW]:/m);
});

test(
  'a build in another directory has the same bytes',
  needsPrograms('dpkg-deb', 'strip', 'g++'),
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'rom-agent-again-'));
    t.after(() => rm(folder, { recursive: true }));
    const parts = ['dist', 'docs', 'packaging', 'systemd', 'package.json', 'package-lock.json', 'LICENSE'];
    for (const part of [...parts, 'README.md', 'SECURITY.md', 'CHANGELOG.md'])
      await cp(join(repoRoot, part), join(folder, part), { recursive: true });
    // The download is the same; what is compiled is compiled again.
    await mkdir(join(folder, 'packages', 'work-x64'), { recursive: true });
    await must(['cp', '-al', 'packages/work-x64/runtime', join(folder, 'packages', 'work-x64', 'runtime')]);
    const { file } = await buildDeb();
    const time = (
      await must(['stat', '-c', '%Y', join(stage, 'usr/lib/rom-agent/package/package.json')])
    ).trim();
    const env = [
      'env',
      '-C',
      folder,
      `SOURCE_DATE_EPOCH=${time}`,
      'DEB_COMPRESSION=-Zgzip -z1',
      `NODE=${process.execPath}`,
    ];
    await must([...env, 'sh', 'packaging/stage.sh', 'x64']);
    await must([...env, 'sh', 'packaging/deb/build.sh', 'x64']);
    const [own, again] = [await readFile(join(repoRoot, file)), await readFile(join(folder, file))];
    assert.ok(own.equals(again), `${file} differs`);
  },
);
