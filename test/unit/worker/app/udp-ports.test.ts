import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ownUdpPorts } from '../../../../src/worker/app/surroundings.js';

/** What node:cluster is asked after a worker with the PID 7 has asked so. */
function asked(query: object): unknown {
  let found: unknown;
  const giver = {
    _getServer: (_: object, passedOn: object) => {
      found = passedOn;
    },
  };
  ownUdpPorts(7, giver);
  giver._getServer({}, query);
  return found;
}

describe('a UDP socket of a worker', () => {
  for (const port of [0, null, undefined]) {
    test(`has a port of its own where any will do: ${port}`, () => {
      const query = { address: null, port, addressType: 'udp4', fd: -1 };
      assert.deepEqual(asked(query), { ...query, fd: -8 });
    });
  }

  test('is shared where the app names the port, as a server of TCP is whatever its port', () => {
    for (const query of [
      { port: 53, addressType: 'udp4', fd: -1 },
      { port: 0, addressType: 4, fd: -1 },
    ])
      assert.deepEqual(asked(query), query);
  });
});
