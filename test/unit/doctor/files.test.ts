import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { examined, type World } from './fake-world.js';

const folder = { isDirectory: true, mode: 0o40755 };

describe('what the service reads and writes', () => {
  const flags = { app: '/srv/shop/server.js' };
  const app = (world: World) => examined({ flags, ...world });

  test('an app that others may read can be read by a user that systemd makes', async () => {
    const report = await app({ stats: { '/srv/shop/server.js': { uid: 1000 } } });
    assert.match(
      report.of('app')[1] ?? '',
      /^ok: \/srv\/shop\/server\.js can be read by the user of the service$/,
    );
  });

  test('an app that only its owner may read', async () => {
    const report = await app({ stats: { '/srv/shop/server.js': { mode: 0o100640 } } });
    const finding = report.findings.find(({ subject, check }) => subject === 'files' && check === 'app');
    assert.deepEqual([finding?.verdict, finding?.change], ['problem', 'sudo chmod o+r /srv/shop/server.js']);
  });

  test('an app in a folder that only its owner may enter', async () => {
    const report = await app({
      stats: { '/srv/shop/server.js': {}, '/srv/shop': { ...folder, mode: 0o40700 } },
    });
    const finding = report.findings.find(({ subject, check }) => subject === 'files' && check === 'app');
    assert.match(finding?.found ?? '', /no permission for \/srv\/shop$/);
    assert.match(finding?.change ?? '', /sudo chmod o\+x \/srv\/shop$/);
  });

  test('an app that the sandbox hides', async () => {
    const path = '/home/me/server.js';
    const report = await examined({ flags: { app: path }, stats: { [path]: {} } });
    assert.match(report.of('app')[1] ?? '', /^problem: \/home\/me\/server\.js is not visible to the service/);
  });

  test('a user of the unit is looked up, with groups', async () => {
    const unit = { DynamicUser: 'no', User: 'shop' };
    const stats = { '/srv/shop/server.js': { gid: 50, mode: 0o100640 } };
    const may = await app({ unit, stats, users: { shop: { uid: 1001, gids: '1001 50' } } });
    assert.match(may.of('app')[1] ?? '', /^ok: .* by shop$/);
    const not = await app({ unit, stats, users: { shop: { uid: 1001, gids: '1001' } } });
    assert.match(not.of('app')[1] ?? '', /^problem: /);
    const nobody = await app({ unit, stats });
    assert.deepEqual(nobody.those('unknown'), ['app']);
  });

  test('root may read anything', async () => {
    const unit = { DynamicUser: 'no', User: '' };
    const report = await app({ unit, stats: { '/srv/shop/server.js': { uid: 1000, mode: 0o100600 } } });
    assert.match(report.of('app')[1] ?? '', /^ok: .* by root$/);
  });

  test('directories that systemd makes for the service are fine, whoever they belong to', async () => {
    const report = await examined({ unit: { Environment: 'LOG_DIR=/var/log/rom-agent/app' } });
    for (const check of ['state_dir', 'control_socket', 'log.dir'])
      assert.match(report.one(check).found, /created by systemd$/);
  });

  test('a log directory that is read-only for the service is a problem, a state directory a warning', async () => {
    const report = await examined({
      unit: { Environment: 'LOG_DIR=/srv/log ROM_AGENT_STATE_DIR=/srv/state' },
    });
    const { verdict, change } = report.one('log.dir');
    assert.deepEqual([verdict, report.one('state_dir').verdict], ['problem', 'warning']);
    assert.match(change ?? '', /^a path in \/var\/lib\/rom-agent; or .* ReadWritePaths=\/srv\/log$/);
    const open = {
      Environment: 'LOG_DIR=/srv/log',
      ReadWritePaths: '-/srv/log',
      DynamicUser: 'no',
      User: 'shop',
    };
    const users = { shop: { uid: 1001, gids: '1001' } };
    const owned = { '/srv/log': { ...folder, uid: 1001 } };
    assert.equal((await examined({ unit: open, users, stats: owned })).one('log.dir').verdict, 'ok');
    const missing = (await examined({ unit: open, users })).one('log.dir');
    assert.deepEqual([missing.verdict, missing.change], ['problem', 'sudo install -d -o shop /srv/log']);
  });

  test('without a unit the kernel is asked for this user', async () => {
    const world: World = {
      unitName: null,
      env: { LOG_DIR: '/var/log/x' },
      access: (path) => path !== '/var/log',
    };
    const report = await examined(world);
    assert.match(report.one('log.dir').found, /^\/var\/log\/x cannot be created by this user$/);
    assert.match(report.one('state_dir').found, /^\/var\/lib\/rom-agent can be written$/);
  });
});

describe('the room that there is', () => {
  const mebibyte = 2 ** 20;
  const logs = { unit: { Environment: 'LOG_DIR=/var/log/rom-agent' } };
  const space = (bytes: number, inodes = 1e6) => ({ ...logs, space: { bytes, inodes } });

  test('is enough, little, or none', async () => {
    const verdicts = async (world: World) => {
      const report = await examined(world);
      return [report.one('space of state_dir').verdict, report.one('space of log.dir').verdict];
    };
    assert.deepEqual(await verdicts(space(1024 * mebibyte)), ['ok', 'ok']);
    assert.deepEqual(await verdicts(space(500 * mebibyte)), ['warning', 'warning']);
    assert.deepEqual(await verdicts(space(10 * mebibyte)), ['warning', 'problem']);
    assert.deepEqual(await verdicts(space(1024 * mebibyte, 0)), ['warning', 'problem']);
    assert.deepEqual(await verdicts({ ...logs, space: null }), ['unknown', 'unknown']);
  });
});

describe('files with secrets', () => {
  const path = '/var/lib/rom-agent/.env';
  const withFile = (mode: number, text: string) =>
    examined({ files: { [path]: text }, stats: { [path]: { mode: 0o100000 | mode } } });

  test('that others may read are a warning with the names, never the values', async () => {
    const report = await withFile(0o644, 'DB_PASSWORD=hunter2\nDB=postgres://a:hunter2@c/d\nCOLOUR=red\n');
    const { verdict, found, change } = report.one(path);
    assert.deepEqual(
      [verdict, found],
      ['warning', 'anybody may read it (0644), and it contains DB, DB_PASSWORD'],
    );
    assert.match(change ?? '', /^move them to \/etc\/default\/rom-agent with mode 0600/);
    assert.doesNotMatch(JSON.stringify(report.findings), /hunter2/);
  });

  test('that others may not read, or without secrets, are fine', async () => {
    for (const mode of [0o600, 0o640])
      assert.equal((await withFile(mode, 'TOKEN=1\n')).one(path).verdict, 'ok');
    assert.equal((await withFile(0o644, 'COLOUR=red\n')).one(path).verdict, 'ok');
    assert.equal((await withFile(0o644, 'TOKEN_FILE=/run/token\n')).one(path).verdict, 'ok');
  });

  test('that anybody may write are a problem', async () => {
    const { verdict, change } = (await withFile(0o666, '')).one(path);
    assert.deepEqual([verdict, change], ['problem', `sudo chmod o-w ${path}`]);
  });
});
