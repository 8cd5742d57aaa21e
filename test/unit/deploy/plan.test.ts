import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { describeSource, newId, pinned, planSource } from '../../../src/deploy/plan.js';
import { isWithin, parseWindow } from '../../../src/deploy/window.js';

const digits = 'e'.repeat(64);

function plan(
  source: string,
  { ref = null as string | null, sha256 = null as string | null, asked = null as string | null } = {},
) {
  const isRepository = (path: string) => path.startsWith('/repos/');
  const planned = planSource({ settings: { source, ref, sha256 }, ref: asked, isRepository });
  return 'source' in planned ? planned.source : planned.problem;
}

describe('the source of a deploy', () => {
  test('is a git repository by its URL, its name, or with a ref', () => {
    for (const url of [
      'https://git.example.com/shop',
      'git@example.com:shop.git',
      'ssh://git@h/shop',
      '/srv/shop.git',
    ])
      assert.deepEqual(plan(url, { ref: 'main' }), { kind: 'git', url, ref: 'main' });
    assert.deepEqual(plan('/repos/shop', { asked: 'v2' }), { kind: 'git', url: '/repos/shop', ref: 'v2' });
  });

  test('is a directory by its path alone', () => {
    assert.deepEqual(plan('/repos/shop'), { kind: 'directory', path: '/repos/shop' });
    assert.match(
      String(plan('/srv/plain', { asked: 'v2' })),
      /needs a git repository, and deploy.source \/srv\/plain is none/,
    );
    assert.match(String(plan('shop')), /"shop" is not right: expected the URL/);
  });

  test('is for the hosts after the first one what that one got', () => {
    const commit = 'c'.repeat(40);
    assert.deepEqual(pinned({ kind: 'git', url: '/srv/shop.git', ref: 'main' }, commit), {
      ...{ kind: 'git', url: '/srv/shop.git', ref: commit },
    });
    const from = { path: '/srv/shop.tgz' };
    assert.deepEqual(pinned({ kind: 'tarball', from, sha256: null }, digits), {
      ...{ kind: 'tarball', from, sha256: digits },
    });
    const directory = { kind: 'directory', path: '/srv/shop' } as const;
    assert.deepEqual(pinned(directory, digits), directory);
  });

  test('is a tarball by its name; one from a URL has a checksum', () => {
    const url = 'https://ci.example.com/shop-{ref}.tgz';
    assert.match(String(plan('https://ci.example.com/shop.tgz')), /needs its checksum: set deploy.sha256/);
    assert.deepEqual(plan('https://ci.example.com/shop.tgz', { sha256: digits }), {
      kind: 'tarball',
      from: { url: 'https://ci.example.com/shop.tgz' },
      sha256: digits,
    });
    assert.deepEqual(plan(url, { asked: `1.2@sha256:${digits}` }), {
      kind: 'tarball',
      from: { url: 'https://ci.example.com/shop-1.2.tgz' },
      sha256: digits,
    });
    assert.match(
      String(plan(url, { asked: '1.3', sha256: digits })),
      /needs its checksum/,
      'that of another file',
    );
    assert.match(String(plan(url)), /has \{ref\} in it: name one/);
    assert.match(String(plan('/srv/shop.tar', { asked: '1.3' })), /has no \{ref\}/);
    assert.match(String(plan(url, { asked: '1@sha256:12' })), /the checksum in "1@sha256:12" is not right/);
    assert.deepEqual(plan('/srv/shop.tar'), {
      kind: 'tarball',
      from: { path: '/srv/shop.tar' },
      sha256: null,
    });
  });

  test('is told without the password in its URL', () => {
    const source = plan('https://bot:secret@git.example.com/shop.git');
    assert.equal(
      typeof source === 'string' ? '' : describeSource(source),
      'the default branch of https://git.example.com/shop.git',
    );
  });
});

test('the ID of a release is the time, and another one where that is taken', () => {
  const at = Date.UTC(2026, 10, 27, 2, 3, 4);
  assert.equal(
    newId(at, () => false),
    '20261127-020304',
  );
  assert.equal(
    newId(at, (id) => id === '20261127-020304'),
    '20261127-020304-2',
  );
});

describe('the window of scheduled deploys', () => {
  const sao = parseWindow('02:00-05:00 America/Sao_Paulo');
  const utc = (hour: number, minute = 0) => Date.UTC(2026, 10, 27, hour, minute);

  test('is in its time zone', () => {
    assert.ok(sao !== null);
    assert.deepEqual(
      [4, 5, 7, 8].map((hour) => isWithin(sao, utc(hour))),
      [false, true, true, false],
    );
  });

  test('may go over midnight', () => {
    const late = parseWindow('23:30-00:30 UTC');
    assert.ok(late !== null);
    assert.deepEqual(
      [utc(23), utc(23, 45), utc(0, 15), utc(0, 30)].map((at) => isWithin(late, at)),
      [false, true, true, false],
    );
  });

  test('needs a zone that exists', () => {
    assert.equal(parseWindow('02:00-05:00 America/Sao_Paolo'), null);
  });
});
