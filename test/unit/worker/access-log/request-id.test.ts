import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  clientOf,
  givenId,
  traceIdOf,
  trustedProxies,
} from '../../../../src/worker/access-log/request-id.js';

const trace = '0af7651916cd43dd8448eb211c80319c';
const parent = 'b7ad6b7169203331';

test('a traceparent is read as Trace Context has it, and ignored where it is not valid', () => {
  assert.equal(traceIdOf(`00-${trace}-${parent}-01`), trace);
  assert.equal(traceIdOf(`cc-${trace}-${parent}-01-what-the-future-brings`), trace);
  for (const wrong of [
    `00-${trace}-${parent}-01-more`,
    `ff-${trace}-${parent}-01`,
    `00-${'0'.repeat(32)}-${parent}-01`,
    `00-${trace}-${'0'.repeat(16)}-01`,
    `00-${trace.toUpperCase()}-${parent}-01`,
    `00-${trace}-${parent}`,
    undefined,
    [],
  ]) {
    assert.equal(traceIdOf(wrong), null, String(wrong));
  }
});

test('an id of a client is taken where it has the characters of one', () => {
  assert.equal(givenId('7f3a-B.2:x/y+z=@'), '7f3a-B.2:x/y+z=@');
  for (const wrong of ['', 'a b', 'a"b', 'a\nb', 'x'.repeat(129), undefined, ['a']])
    assert.equal(givenId(wrong), null, String(wrong));
});

test('the client is who has connected, unless that is a proxy that is trusted', () => {
  const client = (address: string | undefined, forwardedFor?: string, proxies: readonly string[] = []) =>
    clientOf({ address, forwardedFor }, trustedProxies(proxies));
  assert.equal(client('198.51.100.1', '203.0.113.7'), '198.51.100.1');
  assert.equal(client('::ffff:198.51.100.1'), '198.51.100.1');
  assert.equal(client(undefined, '203.0.113.7'), null);
  const inner = ['10.0.0.0/8', 'fd00::/8', 'unix'];
  assert.equal(client('10.1.2.3', '203.0.113.7', inner), '203.0.113.7');
  assert.equal(client('::ffff:10.1.2.3', '203.0.113.7', inner), '203.0.113.7');
  assert.equal(client(undefined, '203.0.113.7', inner), '203.0.113.7');
  assert.equal(client('fd00::1', '2001:db8::5, 10.9.9.9', inner), '2001:db8::5');
  // What the client wrote itself stands before what the first proxy has added.
  assert.equal(client('10.1.2.3', '1.1.1.1, 203.0.113.7, 10.4.4.4', inner), '203.0.113.7');
  assert.equal(client('10.1.2.3', '203.0.113.7:4711', inner), '203.0.113.7');
  assert.equal(client('10.1.2.3', '[2001:db8::5]:443', inner), '2001:db8::5');
  assert.equal(client('10.1.2.3', 'unknown"\n', inner), '10.1.2.3');
  assert.equal(client('10.1.2.3', undefined, inner), '10.1.2.3');
});
