import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Gone, type Noticed, parseOwners, sortOut } from './losses.js';

const nobody: Gone = { pids: new Set(), ports: new Set(), everybody: false };
const reset: Noticed = {
  client: 'keep-alive',
  kind: 'reset',
  connection: { port: 4_000, opened: 1_000 },
  at: 5_000,
};

test('what the killed process had is lost inside, what another had is lost outside', () => {
  const gone = { ...nobody, pids: new Set([7]) };
  assert.equal(sortOut([reset], parseOwners('7 4000 1001\n'), gone).inside, 1);
  const other = sortOut([reset], parseOwners('8 4000 1001\n'), gone);
  assert.deepEqual([other.inside, other.outside], [0, 1]);
  assert.match(other.examples[0] ?? '', /process 8 had it, 4000 ms after it was opened/);
});

test('of a port that was used before, the owner of this connection counts', () => {
  const owners = parseOwners('7 4000 500\n8 4000 1001\n7 4000 9000\n');
  assert.equal(sortOut([reset], owners, { ...nobody, pids: new Set([7]) }).inside, 0);
  assert.equal(sortOut([reset], owners, { ...nobody, pids: new Set([8]) }).inside, 1);
});

test('a connection that was handed on belongs to who had it last', () => {
  const owners = parseOwners('7 4000 1001\n8 4000 2000\n');
  assert.equal(sortOut([reset], owners, { ...nobody, pids: new Set([8]) }).inside, 1);
});

test('a connection that was seen in the frozen process is inside, whatever the app has written', () => {
  assert.equal(sortOut([reset], [], { ...nobody, ports: new Set([4_000]) }).inside, 1);
});

test('where everybody died, an accepted connection was inside, and a silent one was not', () => {
  const gone = { ...nobody, everybody: true };
  assert.equal(sortOut([reset], [], gone).inside, 1);
  assert.equal(sortOut([{ ...reset, kind: 'timeout' }], [], gone).outside, 1);
});

test('a refusal and a bad answer are never the killed process alone', () => {
  const gone = { pids: new Set([7]), ports: new Set([4_000]), everybody: true };
  const lost: Noticed[] = [
    { ...reset, kind: 'refused', connection: null },
    { ...reset, kind: 'status' },
  ];
  const { outside, byKind } = sortOut(lost, parseOwners('7 4000 1001'), gone);
  assert.deepEqual([outside, byKind], [2, { refused: 1, reset: 0, timeout: 0, status: 1 }]);
});

test('half a line, and what is no line, is no owner', () => {
  assert.deepEqual(parseOwners('7 40\n\nx y z\n7 4000 1\n'), [{ pid: 7, port: 4_000, at: 1 }]);
});
