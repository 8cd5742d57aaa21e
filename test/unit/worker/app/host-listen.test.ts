import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasIPv6 } from '../../../../src/worker/app/host.js';

/** Where the sandbox refuses netlink sockets: RestrictAddressFamilies=. */
function refused(): never {
  const message = 'A system error occurred: uv_interface_addresses returned EAFNOSUPPORT';
  throw Object.assign(new Error(message), { code: 'ERR_SYSTEM_ERROR' });
}

test('without a list of interfaces the kernel says whether there is an IPv6 address', () => {
  const loopback = '00000000000000000000000000000001 01 80 10 80       lo\n';
  assert.equal(
    hasIPv6(refused, () => loopback),
    true,
  );
  assert.equal(
    hasIPv6(refused, () => ''),
    false,
  );
});

test('where nothing can be read there is no IPv6', () => {
  const nothing = () => {
    throw new Error('ENOENT');
  };
  assert.equal(hasIPv6(refused, nothing), false);
});
