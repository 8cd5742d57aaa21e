import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Refusal } from '../../../../src/sandbox/remedies.js';
import { type SandboxSeam, sandboxHint } from '../../../../src/worker/app/failures.js';

const seam: SandboxSeam = {
  env: { INVOCATION_ID: 'a1', STATE_DIRECTORY: '/var/lib/rom-agent' },
  uid: 62_625,
  readFile: (path) =>
    path === '/proc/self/cgroup' ? '0::/system.slice/shop.service\n' : 'root:x:0:\nredis:x:115:\n',
  ownerOf: () => ({ uid: 62_625, gid: 115 }),
  writeError: () => null,
  mayEnter: () => true,
};

const refused = (code: string, more: Partial<Refusal> = {}): Refusal => ({ code, message: code, ...more });

function linesOf(error: Refusal, own: Partial<SandboxSeam> = {}): string | null {
  return sandboxHint(error, { ...seam, ...own })?.replace(/^.*under \[Service\] /, '') ?? null;
}

describe('what the sandbox refuses', () => {
  test('names the unit and the directive', () => {
    const hint = sandboxHint(refused('EROFS', { syscall: 'open', path: '/srv/shop/a.txt' }), seam) ?? '';
    assert.match(
      hint,
      /^ProtectSystem= of the unit keeps \/srv\/shop read-only: sudo systemctl edit shop\.service: /,
    );
  });

  test('a directory to write is bound for a user that is made, and opened for a real one', () => {
    const error = refused('EROFS', { syscall: 'mkdir', path: '/srv/shop/uploads' });
    const made = 'StateDirectory=rom-agent/uploads, BindPaths=/var/lib/rom-agent/uploads:/srv/shop/uploads';
    assert.equal(linesOf(error), made);
    assert.equal(linesOf(error, { uid: 1000 }), 'ReadWritePaths=/srv/shop/uploads');
  });

  test('mkdir with recursive says ENOENT where the file system is read-only', () => {
    const error = refused('ENOENT', { syscall: 'mkdir', path: '/srv/shop/uploads' });
    const writeError = (path: string) => (path === '/srv/shop/uploads' ? 'ENOENT' : 'EROFS');
    assert.match(linesOf(error, { writeError }) ?? '', /^StateDirectory=/);
    assert.equal(linesOf(error, { writeError: () => 'ENOENT' }), null);
    assert.equal(linesOf(error), null);
  });

  test('the group of a socket is named, unless PrivateUsers= hides it', () => {
    const error = refused('EACCES', { syscall: 'connect', address: '/run/redis.sock' });
    assert.equal(linesOf(error), 'SupplementaryGroups=redis');
    assert.equal(linesOf(error, { ownerOf: () => ({ uid: 0, gid: 65_534 }) }), 'SupplementaryGroups=GROUP');
    assert.equal(linesOf(error, { ownerOf: () => null }), null);
  });

  test('the errors of node:os name theirs within', () => {
    const info = { code: 'EAFNOSUPPORT', syscall: 'uv_interface_addresses' };
    assert.equal(linesOf(refused('ERR_SYSTEM_ERROR', { info })), 'RestrictAddressFamilies=AF_NETLINK');
    const passwd = { code: 'ENOENT', syscall: 'uv_os_get_passwd' };
    assert.match(sandboxHint(refused('ERR_SYSTEM_ERROR', { info: passwd }), seam) ?? '', /libnss-systemd/);
  });

  test('a home is hidden where nobody may enter /home, and the user is left to the unit', () => {
    const error = refused('EACCES', { syscall: 'open', path: '/home/ann/shop/key' });
    const shut = 'ProtectHome=tmpfs, BindReadOnlyPaths=/home/ann/shop';
    assert.equal(linesOf(error, { mayEnter: () => false }), shut);
    assert.equal(linesOf(error), 'LoadCredential=key:/home/ann/shop/key');
    for (const [code, syscall] of [
      ['EINVAL', 'setgid'],
      ['EPERM', 'setuid'],
    ] as const)
      assert.equal(linesOf(refused(code, { syscall })), 'DynamicUser=no, User=NAME');
    assert.equal(linesOf(refused('EINVAL', { syscall: 'write' })), null);
  });

  test('a set-group-ID bit is refused of what belongs to the service', () => {
    const error = refused('EPERM', { syscall: 'chmod', path: '/var/lib/rom-agent/shared' });
    assert.equal(
      linesOf(error, { uid: 1000, ownerOf: () => ({ uid: 1000, gid: 1 }) }),
      'RestrictSUIDSGID=no',
    );
    assert.equal(linesOf(error, { ownerOf: () => ({ uid: 0, gid: 0 }) }), null);
  });

  test('what no sandbox refuses has no hint, and neither has anything outside of a unit', () => {
    assert.equal(sandboxHint(refused('ENOENT', { syscall: 'open', path: '/x' }), seam), null);
    assert.equal(sandboxHint(refused('ECONNREFUSED', { syscall: 'connect', port: 5432 }), seam), null);
    const readOnly = refused('EROFS', { syscall: 'open', path: '/srv/a' });
    assert.equal(sandboxHint(readOnly, { ...seam, env: {} }), null);
    assert.equal(
      sandboxHint(readOnly, { ...seam, readFile: () => '0::/user.slice/session-1.scope\n' }),
      null,
    );
  });
});
