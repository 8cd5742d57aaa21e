import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { examined, type World } from './fake-world.js';

const started = { InvocationID: 'c3a1' };

function told(journal: readonly string[], more: World = {}) {
  return examined({ ...more, journal, unit: { ...started, ...more.unit } });
}

/** What a line of the log is found to be: directive, and the lines of the drop-in. */
const lines: Readonly<Record<string, readonly [string, RegExp | null]>> = {
  "Error: EROFS: read-only file system, open '/srv/shop/uploads/a.png'": [
    'ProtectSystem',
    /\[Service\] StateDirectory=rom-agent\/uploads, BindPaths=\/var\/lib\/rom-agent\/uploads:\/srv\/shop\/uploads;/,
  ],
  "Error: EROFS: read-only file system, open '/proc/sys/net/core/somaxconn'": ['ProtectKernelTunables', null],
  "Error: EACCES: permission denied, open '/home/ann/shop/key.pem'": [
    'ProtectHome',
    /\[Service\] ProtectHome=tmpfs, BindReadOnlyPaths=\/home\/ann\/shop;/,
  ],
  "Error: Cannot find module '/home/ann/shop/server.js'": [
    'ProtectHome',
    /BindReadOnlyPaths=\/home\/ann\/shop;/,
  ],
  "Error: ENOENT: no such file or directory, open '/dev/ttyUSB0'": [
    'PrivateDevices',
    /\[Service\] PrivateDevices=no, DeviceAllow=\/dev\/ttyUSB0 rw;/,
  ],
  'Error: connect ENOENT /tmp/mysql.sock': ['PrivateTmp', /DynamicUser=no, User=NAME, PrivateTmp=no;/],
  'Error: connect EACCES /run/redis/redis.sock': ['SupplementaryGroups', /SupplementaryGroups=redis;/],
  "Error: ENOENT: no such file or directory, open '/proc/1/stat'": ['ProtectProc', /ProtectProc=default;/],
  "Error: ENOENT: no such file or directory, open '/proc/meminfo'": ['ProcSubset', /ProcSubset=all;/],
  'Error: connect EPERM 203.0.113.7:443 - Local (0.0.0.0:0)': [
    'IPAddressDeny',
    /IPAddressAllow=203\.0\.113\.7;/,
  ],
  'Error: connect EAFNOSUPPORT 203.0.113.7:443': [
    'RestrictAddressFamilies',
    /RestrictAddressFamilies=AF_INET;/,
  ],
  'SystemError [ERR_SYSTEM_ERROR]: A system error occurred: uv_interface_addresses returned EAFNOSUPPORT (x)':
    ['RestrictAddressFamilies', /RestrictAddressFamilies=AF_NETLINK;/],
  'A system error occurred: uv_interface_addresses returned Unknown system error 97 (Unknown system error 97)':
    ['RestrictAddressFamilies', /RestrictAddressFamilies=AF_NETLINK;/],
  'A system error occurred: uv_os_setpriority returned EPERM (operation not permitted)': [
    'SystemCallFilter',
    /SystemCallFilter=setpriority;/,
  ],
  'A system error occurred: uv_os_setpriority returned EACCES (permission denied)': ['Nice', /Nice=NUMBER;/],
  "Error: EPERM: operation not permitted, chown '/var/lib/rom-agent/a'": ['SystemCallFilter', /=@chown;/],
  'Error: listen EACCES: permission denied 0.0.0.0:80': ['CapabilityBoundingSet', /CAP_NET_BIND_SERVICE;/],
  'Error: spawn convert EAGAIN': ['TasksMax', /TasksMax=infinity;/],
  'Failed to move to new namespace: PID namespaces supported, but failed: errno = Operation not permitted': [
    'RestrictNamespaces',
    /RestrictNamespaces=user pid net, /,
  ],
  'sudo: The "no new privileges" flag is set, which prevents sudo from running as root.': [
    'NoNewPrivileges',
    null,
  ],
  'worker 1 crashed: ended by SIGSYS role=master': ['SystemCallErrorNumber', /SystemCallErrorNumber=EPERM;/],
};

const stats: World['stats'] = {
  '/dev/ttyUSB0': {},
  '/tmp/mysql.sock': {},
  '/run/redis/redis.sock': { gid: 115 },
};
const files = { '/etc/group': 'root:x:0:\nredis:x:115:\n' };

describe('what the sandbox has refused', () => {
  for (const [line, [directive, change]] of Object.entries(lines))
    test(`is a matter of ${directive}=: ${line}`, async () => {
      const { findings } = await told([line], { stats, files });
      const [found = assert.fail(), ...more] = findings.filter(({ subject }) => subject === 'the sandbox');
      assert.deepEqual([found.check, more], [directive, []]);
      assert.equal(found.verdict, 'warning');
      assert.ok(found.found.endsWith(`The log has: ${line}`), found.found);
      if (change === null) assert.equal(found.change, null);
      else assert.match(found.change ?? '', change);
    });

  test('is a problem where a worker ended by it, and told once, with the unit that was asked for', async () => {
    const line =
      'worker 1 died before it listened: Error: connect EACCES /run/redis/redis.sock; ' +
      "the service's user is not in the group of the socket /run/redis/redis.sock (ls -l names its GROUP): " +
      'sudo systemctl edit rom-agent.service: under [Service] SupplementaryGroups=GROUP role=master pid=7\n' +
      '    Error: connect EACCES /run/redis/redis.sock\n        at x.js:1:2';
    const found = (await told([line, 'well', line], { stats, files })).one('SupplementaryGroups');
    assert.equal(found.verdict, 'problem');
    assert.match(
      found.found,
      /The log has, 2 times: worker 1 died before it listened: Error: connect EACCES/,
    );
    assert.equal(
      found.change,
      'sudo systemctl edit rom-agent.service: under [Service] SupplementaryGroups=redis; then sudo systemctl restart rom-agent.service',
    );
  });

  test('is nothing where the log has nothing of it', async () => {
    const journal = [
      "Error: ENOENT: no such file or directory, open '/tmp/cache.json'",
      'serving with 2 workers',
    ];
    assert.match((await told(journal)).one('refusals').found, /^none/);
    assert.deepEqual(
      (await told(["Error: ENOENT: no such file, open '/home/x'"], { unit: { ProtectHome: 'no' } })).of(
        'ProtectHome',
      ),
      [],
    );
  });

  test('is unknown where the journal cannot be read, and no matter before the first start', async () => {
    const unread = await examined({ unit: { ...started, StatusText: '' } });
    assert.equal(unread.one('refusals').verdict, 'unknown');
    assert.deepEqual((await examined()).of('refusals'), []);
  });
});
