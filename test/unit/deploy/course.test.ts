import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Daemon } from '../../../src/deploy/course.js';
import type { ReloadState, ReloadVerdict } from '../../../src/deploy/decide.js';
import {
  addToHistory,
  layoutOf,
  readCurrent,
  readHistory,
  readJournal,
  writeJournal,
} from '../../../src/deploy/layout.js';
import { rollbackTarget } from '../../../src/deploy/prune.js';
import { recoverAtStart } from '../../../src/master/deploys.js';
import type { DeployRecord } from '../../../src/protocol/deploy.js';
import type { Config } from '../../../src/settings/config.js';
import { contentsOf, copyOf, makePlace, type Place, type Playing, play } from './place.js';

const node = (code: string) => [process.execPath, '-e', code];
const step = (name: string, code: string, timeoutMs = 60_000) => ({ name, command: node(code), timeoutMs });
const asked = { by: 'alice', origin: 'command' } as const;
const bad: ReloadVerdict = { state: 'bad', reason: 'worker 1 of generation 2 could not start' };

describe('a deploy', () => {
  test('makes a release of a directory, runs the commands in it, and has it served', async (t) => {
    const place = makePlace(t, {
      steps: [step('build', "require('fs').writeFileSync('built', process.env.SECRET ?? 'none')")],
      env: { BUILD: '1' },
    });
    process.env.SECRET = "the service's own";
    t.after(() => delete process.env.SECRET);
    const { course, reloads, record } = play(place);
    await course.deploy('new', asked);
    assert.equal(record()?.verdict, 'done');
    assert.deepEqual(reloads, ['new']);
    assert.equal(
      readFileSync(join(place.directory, 'current/built'), 'utf8'),
      'none',
      'an environment of its own',
    );
    assert.deepEqual(contentsOf(place.directory), [
      'current -> releases/new',
      ...['deploys.json', 'home', 'logs', 'releases'],
    ]);
    assert.equal(readHistory(layoutOf(place.directory))[0]?.previous, 'old');
  });

  test('whose command fails leaves what served, and says what the command said', async (t) => {
    const place = makePlace(t, { steps: [step('test', "console.error('1 test failed'); process.exit(3)")] });
    const { course, reloads, record } = play(place);
    await course.deploy('new', asked);
    assert.equal(record()?.reason, 'test failed: exit status 3: 1 test failed');
    assertOldServes(place, 'failed');
    assert.deepEqual(reloads, []);
  });

  test('whose command hangs has it killed, with what it has started', async (t) => {
    const code =
      "require('child_process').spawn(process.execPath, ['-e', 'setInterval(()=>{},1e6)'], {detached: true, stdio: 'ignore'}).unref(); setInterval(() => {}, 1e6)";
    const place = makePlace(t, { steps: [step('test', code, 700)] });
    const { course, record } = play(place);
    await course.deploy('new', asked);
    assert.match(record()?.reason ?? '', /test failed: no end within 0.7 s: killed/);
    assertOldServes(place, 'failed');
  });

  test('ends no command of another service whose deploy has the same id', { timeout: 120_000 }, async (t) => {
    const wait =
      "const fs = require('fs'); fs.writeFileSync('begun', ''); setInterval(() => fs.existsSync('go') && process.exit(0), 20)";
    const slow = makePlace(t, { steps: [step('build', wait)] });
    const partial = layoutOf(slow.directory).partial('new');
    const first = play(slow);
    const ended = first.course.deploy('new', asked);
    while (!existsSync(join(partial, 'begun'))) await sleep(10);
    const second = play(makePlace(t, { steps: [step('build', '')] }));
    await second.course.deploy('new', asked);
    writeFileSync(join(partial, 'go'), '');
    await ended;
    assert.deepEqual([first.record()?.reason, second.record()?.verdict], [null, 'done']);
  });

  test('writes through no link that an earlier command has left in its home', async (t) => {
    const place = makePlace(t);
    const repository = join(place.root, 'shop.git');
    const home = join(place.directory, 'home');
    for (const path of [repository, home]) mkdirSync(path);
    symlinkSync(join(place.root, 'elsewhere'), join(home, '.gitconfig'));
    const settings = { ...place.settings, source: repository };
    await play({ ...place, settings }).course.deploy('new', asked);
    assert.ok(!existsSync(join(place.root, 'elsewhere')));
  });

  test('that fails removes the output of those that nobody remembers', async (t) => {
    const place = makePlace(t, { steps: [step('test', 'process.exit(1)')] });
    mkdirSync(join(place.directory, 'logs'));
    writeFileSync(join(place.directory, 'logs/forgotten.log'), 'x');
    await play(place).course.deploy('new', asked);
    assert.ok(!existsSync(join(place.directory, 'logs/forgotten.log')));
  });

  test('takes a tarball from a URL with a password, and does not say the password', async (t) => {
    const seen: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const source = `http://alice:s%3Acret@127.0.0.1:${port}/shop.tgz`;
    const { course, record } = play(makePlace(t, { source, sha256: '0'.repeat(64) }));
    await course.deploy('new', asked);
    assert.deepEqual(seen, [`Basic ${Buffer.from('alice:s:cret').toString('base64')}`]);
    assert.match(record()?.reason ?? '', /answers 404 for the tarball/);
    assert.doesNotMatch(record()?.reason ?? '', /cret/);
  });

  test('with too little space is not begun', async (t) => {
    const place = makePlace(t, { minFreeBytes: 2 ** 60 });
    const { course, record } = play(place);
    await course.deploy('new', asked);
    assert.match(record()?.reason ?? '', /MiB free at .*, 1099511627776 wanted \(deploy.min_free\)/);
    assertOldServes(place, 'failed');
  });

  test('whose reload is rolled back has current lead back, and keeps the release for a look', async (t) => {
    const place = makePlace(t);
    const { course, record } = play(place, { verdict: bad });
    await course.deploy('new', asked);
    assert.equal(record()?.reason, bad.state === 'bad' ? bad.reason : '');
    assertOldServes(place, 'rolled-back', { keptNew: true });
  });

  test('refuses an app that does not lead through current', async (t) => {
    const place = makePlace(t, { app: '/srv/shop/server.js' });
    const { course, record } = play(place);
    await course.deploy('new', asked);
    assert.match(
      record()?.reason ?? '',
      /app: "\/srv\/shop\/server.js" is not right: expected a path through/,
    );
  });

  test('by schedule waits for its window, and one by hand does not', async (t) => {
    // The clock of the test says 20:26 in UTC.
    const place = makePlace(t, { window: '02:00-05:00 UTC' });
    const first = play(place);
    await first.course.deploy('one', { by: 'schedule', origin: 'schedule' });
    assert.match(first.record()?.reason ?? '', /the window 02:00-05:00 UTC is closed/);
    const second = play(place);
    await second.course.deploy('two', asked);
    assert.equal(second.record()?.verdict, 'done');
  });

  test('keeps as many releases as it is told, never without the current one and the one before', async (t) => {
    const place = makePlace(t, { keep: 2 });
    for (const id of ['one', 'two', 'three']) await play(place).course.deploy(id, asked);
    assert.deepEqual(readdirSync(join(place.directory, 'releases')).sort(), ['three', 'two']);
  });

  test('keeps a release that a worker still reads, and all where nobody knows', async (t) => {
    for (const [inUse, kept] of [
      [[], ['three', 'two']],
      [['old'], ['old', 'three', 'two']],
      [null, ['old', 'one', 'three', 'two']],
    ] as const) {
      const place = makePlace(t, { keep: 9 });
      for (const id of ['one', 'two']) await play(place).course.deploy(id, asked);
      const paths = inUse?.map((id) => join(place.directory, 'releases', id, 'server.js')) ?? null;
      const daemon: Daemon = {
        reload: async () => ({ state: 'done' }),
        reloadOf: async () => ({ state: 'none' }),
        pathsInUse: async () => paths,
      };
      const last = { ...place, settings: { ...place.settings, keep: 2 } };
      await play(last, { world: { daemon } }).course.deploy('three', asked);
      assert.deepEqual(readdirSync(join(place.directory, 'releases')).sort(), kept);
    }
  });
});

describe('a rollback', () => {
  test('goes to the release that served before, or to one that is named', async (t) => {
    const place = makePlace(t);
    const layout = layoutOf(place.directory);
    for (const id of ['one', 'two']) await play(place).course.deploy(id, asked);
    assert.deepEqual(rollbackTarget(layout, undefined), { id: 'one' });
    assert.deepEqual(rollbackTarget(layout, 'old'), { id: 'old' });
    assert.deepEqual(rollbackTarget(layout, 'two'), { problem: 'two is the current release already' });
    assert.match(
      JSON.stringify(rollbackTarget(layout, 'x')),
      /there is no release x: there are two, one, old/,
    );
    const { course, record } = play(place);
    await course.rollback('one', { by: 'bob' });
    assert.deepEqual([record()?.verdict, record()?.origin, readCurrent(layout)], ['done', 'rollback', 'one']);
    assert.deepEqual(rollbackTarget(layout, undefined), { id: 'two' });
  });

  test('that does not work stays where it was', async (t) => {
    const place = makePlace(t);
    await play(place).course.deploy('one', asked);
    await play(place, { verdict: bad }).course.rollback('old', { by: 'bob' });
    assert.equal(readCurrent(layoutOf(place.directory)), 'one');
    assert.ok(existsSync(join(place.directory, 'releases/old')));
  });
});

/** The place as kill -9 would leave it before and after each change on disk. */
async function snapshots(
  place: Place,
  playing: Playing,
): Promise<readonly { readonly name: string; readonly place: Place }[]> {
  const taken: { name: string; place: Place }[] = [];
  const checkpoint = (name: string): void => {
    const to = join(place.root, `killed-${taken.length}`);
    taken.push({ name, place: copyOf(place, to) });
  };
  await play(place, { ...playing, world: { checkpoint } }).course.deploy('new', asked);
  return taken;
}

describe('a deploy that is killed', () => {
  for (const verdict of [{ state: 'done' }, bad] as const) {
    test(`at any step, with a release that is ${verdict.state}: another process goes on or goes back`, async (t) => {
      const place = makePlace(t, { steps: [step('build', "require('fs').writeFileSync('built', '')")] });
      addToHistory(layoutOf(place.directory), oldRecord);
      const all = await snapshots(place, { verdict });
      assert.ok(all.length > 15, `${all.length} points`);
      for (const { name, place: killed } of all) {
        const journal = readJournal(layoutOf(killed.directory));
        // What the master knows of the reload that this point is after.
        const known: ReloadState =
          name.startsWith('journal check') || journal === null
            ? { state: 'none' }
            : isAfterReload(name, journal.stage)
              ? verdict
              : { state: 'none' };
        const { course, record } = play(killed, { verdict, known });
        const wasLeft = await course.resume();
        assert.equal(wasLeft, journal !== null, name);
        assertWhole(killed, { name, verdict: record()?.verdict ?? null });
      }
    });
  }

  test('with its master: the next start takes the release that was proven last', async (t) => {
    const place = makePlace(t);
    addToHistory(layoutOf(place.directory), oldRecord);
    const all = await snapshots(place, {});
    for (const { name, place: killed } of all) {
      const stateDir = join(killed.root, 'state');
      mkdirSync(stateDir);
      const proven = /prune|history|remove journal|after reload/.test(name);
      const reload = { by: 'deploy new', atMs: 1_795_000_000_001, verdict: 'done' };
      if (proven) writeFileSync(join(stateDir, 'reloads.json'), JSON.stringify([reload]));
      const config = { deploy: { directory: killed.directory }, stateDir } as unknown as Config;
      await recoverAtStart(config, { clock: () => 1_795_000_000_000, warn: () => {} });
      assert.equal(readCurrent(layoutOf(killed.directory)), proven ? 'new' : 'old', name);
      // The next deploy finds a clean place.
      await play(killed).course.resume();
      assertWhole(killed, { name, verdict: readHistory(layoutOf(killed.directory))[0]?.verdict ?? null });
    }
  });

  test('with its master leaves no half of a tarball, and no release that never served', {
    timeout: 120_000,
  }, async (t) => {
    const place = makePlace(t);
    const layout = layoutOf(place.directory);
    mkdirSync(layout.release('new'));
    writeFileSync(`${layout.partial('new')}.tar`, 'half');
    writeJournal(layout, {
      ...{ version: 1, id: 'new', ref: null, commit: null, by: 'alice', origin: 'command', atMs: 1 },
      ...{ stage: 'seal', previous: 'old', outcome: null },
    });
    const config = { deploy: { directory: place.directory }, stateDir: place.root } as unknown as Config;
    await recoverAtStart(config, { clock: () => 2, warn: () => {} });
    while (readdirSync(layout.releases).length > 1) await sleep(10);
    assert.deepEqual(readdirSync(layout.releases), ['old']);
  });

  test('twice goes on, or goes back, all the same', async (t) => {
    const place = makePlace(t);
    addToHistory(layoutOf(place.directory), oldRecord);
    const all = await snapshots(place, { verdict: bad });
    // Each of their points with each of those: some of them say enough.
    for (const { name, place: killed } of all.filter((_, index) => index % 5 === 4)) {
      const again: Place[] = [];
      const checkpoint = (): void =>
        void again.push(copyOf(killed, join(place.root, `${name}-${again.length}`.replaceAll(/[ /]/g, '-'))));
      await play(killed, { verdict: bad, world: { checkpoint } }).course.resume();
      for (const twice of again) {
        await play(twice, { verdict: bad }).course.resume();
        assertWhole(twice, { name, verdict: readHistory(layoutOf(twice.directory))[0]?.verdict ?? null });
      }
    }
  });

  test('and whose journal is damaged leaves what serves, and the journal for a person', async (t) => {
    const place = makePlace(t);
    writeFileSync(join(place.directory, 'deploy.json'), '{"version":');
    const { course } = play(place);
    assert.equal(await course.resume(), false);
    assert.ok(existsSync(join(place.directory, 'deploy.json.bad')));
    assert.equal(readCurrent(layoutOf(place.directory)), 'old');
  });
});

const oldRecord: DeployRecord = {
  ...{ id: 'old', ref: null, commit: null, by: 'init', atMs: 1, tookMs: 1, reason: null, previous: null },
  ...{ origin: 'init', verdict: 'done' },
};

function isAfterReload(name: string, stage: string): boolean {
  return name === 'after reload' || stage === 'back' || stage === 'prune' || /back|history|remove/.test(name);
}

function assertOldServes(place: Place, verdict: string, { keptNew = false } = {}): void {
  const layout = layoutOf(place.directory);
  assert.equal(readCurrent(layout), 'old');
  assert.equal(readHistory(layout)[0]?.verdict, verdict);
  assert.equal(readJournal(layout), null);
  assert.deepEqual(readdirSync(layout.releases).sort(), keptNew ? ['new', 'old'] : ['old']);
}

/** Never a half state: the link leads to a whole release, and to the new one only where that was proven. */
function assertWhole(
  { directory, settings }: Place,
  { name, verdict }: { name: string; verdict: string | null },
): void {
  const layout = layoutOf(directory);
  const current = readCurrent(layout);
  const last = readHistory(layout).find(({ id }) => id === 'new');
  const isNew = last?.verdict === 'done';
  assert.equal(current, isNew ? 'new' : 'old', `${name}: ${verdict}`);
  assert.ok(existsSync(join(layout.current, 'server.js')), name);
  if (isNew && settings.steps.length > 0) assert.ok(existsSync(join(layout.current, 'built')), name);
  assert.equal(readJournal(layout), null, name);
  assert.ok(readHistory(layout).filter(({ id }) => id === 'new').length <= 1, name);
  const left = contentsOf(directory).filter((each) => /\.new|\.back|\.partial|\.lock/.test(each));
  assert.deepEqual(left, [], name);
  assert.deepEqual(
    readdirSync(layout.releases).filter((each) => each.includes('.partial')),
    [],
    name,
  );
}
