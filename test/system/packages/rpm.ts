import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { needsPrograms, needsTree } from '../systemd/machine.js';
import { treeOf } from '../systemd/trees.js';
import { buildRpm, must, nextStage } from './packages.js';

const needs = () => {
  const { skip } = needsTree();
  return skip === false ? needsPrograms('rpm', 'rpmbuild', 'unshare', 'mount') : { skip };
};

test(
  'the rpm installs, is upgraded and erased in a root of its own, by its own scripts',
  needs(),
  async (t) => {
    const [first, next] = [await buildRpm(), await buildRpm(await nextStage())];
    const folder = await mkdtemp(join(tmpdir(), 'rom-agent-rpm-'));
    t.after(() => rm(folder, { recursive: true }));
    // The dependencies are those of another distribution: they are not in this one's database.
    const script = `set -eu
    mount -t tmpfs none "$2" && mkdir "$2/upper" "$2/work" "$2/root"
    mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
    mount -t proc proc "$2/root/proc"
    root=$2/root
    find "$root/usr" "$root/etc" | sort > "$2/before"
    rpm --root "$root" --initdb
    look() { echo "== $1"; chroot "$root" rom-agent --version; readlink "$root/usr/lib/rom-agent/current"; ls "$root/usr/lib/rom-agent/versions"; }
    rpm --root "$root" -i --nodeps "$3"; look installed
    echo 'port = 8080' >> "$root/etc/rom-agent/rom-agent.toml"
    rpm --root "$root" -U --nodeps "$4"; look upgraded
    rpm --root "$root" -V --nodeps rom-agent || :
    rpm --root "$root" -e rom-agent; echo '== erased'
    find "$root/usr" "$root/etc" | sort | comm -13 "$2/before" - | sed "s|^$root||" | grep rom-agent || :`;
    const text = await must([
      'unshare',
      '-m',
      '--propagation',
      'private',
      'sh',
      '-c',
      script,
      'sh',
      await treeOf('trixie'),
      folder,
      first.file,
      next.file,
    ]);
    const [, installed = '', upgraded = '', erased = ''] = text.split(/^== .*\n/m);
    assert.deepEqual(installed.split('\n').slice(-3), [`versions/${first.tree}`, first.tree, '']);
    assert.ok(upgraded.includes(`versions/${next.tree}\n${next.tree}\n`), text);
    // The configuration that was edited is the only thing that differs, and is kept.
    assert.match(upgraded, /^S\.5.* c \/etc\/rom-agent\/rom-agent\.toml$/m);
    assert.deepEqual(erased.split('\n').filter(Boolean), [
      '/etc/rom-agent',
      '/etc/rom-agent/rom-agent.toml.rpmsave',
    ]);
  },
);
