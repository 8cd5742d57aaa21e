import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { describe, test } from 'node:test';
import { keepListeners, ownSockets, ownUdpPorts } from '../../../../src/worker/app/surroundings.js';

function worker() {
  const heard: string[] = [];
  const emitter = new EventEmitter();
  const hear = (name: string, who: string) => emitter.on(name, () => heard.push(`${who}: ${name}`));
  return { emitter, hear, heard };
}

describe('keepListeners', () => {
  for (const [what, remove] of [
    ['all listeners', (emitter: EventEmitter) => emitter.removeAllListeners()],
    ['those of one event', (emitter: EventEmitter) => emitter.removeAllListeners('internalMessage')],
  ] as const) {
    test(`what hears the master stays when the app removes ${what}`, () => {
      const { emitter, hear, heard } = worker();
      hear('internalMessage', 'ours');
      keepListeners(emitter);
      hear('internalMessage', "the app's");
      assert.equal(remove(emitter), emitter);
      emitter.emit('internalMessage');
      assert.deepEqual(heard, ['ours: internalMessage']);
    });
  }

  test('a listener for one time is kept as such', () => {
    const { emitter, heard } = worker();
    emitter.once('disconnect', () => heard.push('gone'));
    keepListeners(emitter);
    emitter.removeAllListeners();
    emitter.emit('disconnect');
    emitter.emit('disconnect');
    assert.deepEqual(heard, ['gone']);
  });

  test('what Node prints of warnings can be removed as without us, and so can what the app listens to', () => {
    const { emitter, hear, heard } = worker();
    hear('warning', 'Node');
    keepListeners(emitter);
    hear('message', "the app's");
    emitter.removeAllListeners();
    emitter.emit('warning');
    emitter.emit('message');
    assert.deepEqual(heard, []);
  });
});

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

/** Of a process that idles: every tick finds that since the last one everything unused was collected. */
const idling = `
import { executionAsyncResource } from 'node:async_hooks';
import { keepTickShape, keptTick } from '${new URL('../../../../src/worker/app/surroundings.js', import.meta.url).href}';
const tick = () => new Promise((resolve) => process.nextTick(() => resolve(executionAsyncResource())));
keepTickShape();
await tick();
for (let round = 0; round < 10; round++) {
  gc();
  if (!%HaveSameMap(keptTick(), await tick())) throw new Error('another shape in round ' + round);
}
process.stdout.write('one shape');
`;

test('the shape of what process.nextTick() makes outlives the collections of a process that idles', () => {
  const flags = ['--expose-gc', '--allow-natives-syntax', '--input-type=module'];
  assert.equal(execFileSync(process.execPath, [...flags, '-e', idling], { encoding: 'utf8' }), 'one shape');
});

describe('the sockets of an app that is no server', () => {
  /** The index with which node:cluster is asked for each of these, in one worker. */
  function indexes({ slot, pid }: { slot: number; pid: number }, ...queries: readonly object[]): unknown[] {
    const found: unknown[] = [];
    const giver = {
      _getServer: (_: object, query: { index?: string }, reply: (error: number) => void) => {
        found.push(query.index);
        if ('fails' in query) reply(-98);
      },
    };
    ownSockets(slot, { pid, giver });
    for (const query of queries) {
      const server = new EventEmitter();
      giver._getServer(server, query, () => {});
      if ('closes' in query) server.emit('close');
    }
    return found;
  }
  const metrics = { address: null, port: 9100, addressType: 4 };

  test('belong to the slot: its next worker has the same, that of another slot has not', () => {
    const [first] = indexes({ slot: 1, pid: 7 }, metrics);
    assert.deepEqual(indexes({ slot: 1, pid: 8 }, metrics), [first]);
    assert.notDeepEqual(indexes({ slot: 2, pid: 9 }, metrics), [first]);
  });

  test('belong to the process where any port will do', () => {
    const any = { ...metrics, port: 0 };
    assert.notDeepEqual(indexes({ slot: 1, pid: 7 }, any), indexes({ slot: 1, pid: 8 }, any));
  });

  test('are in use where the same process opens them twice, but not once they are closed or were never opened', () => {
    const [first, second] = indexes({ slot: 1, pid: 7 }, metrics, metrics);
    assert.notEqual(first, second);
    for (const over of [{ closes: true }, { fails: true }]) {
      const [before, after] = indexes({ slot: 1, pid: 7 }, { ...metrics, ...over }, metrics);
      assert.equal(before, after);
    }
  });
});
