import assert from 'node:assert/strict';
import { json } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { type HeapSnapshot, isSnapshot } from '../../../src/heap/snapshot.js';
import { summarize } from '../../../src/heap/summary.js';
import { holderInWords } from '../../../src/heap/words.js';

/** A thread with a leak: `visits` is a variable of its module, which `remember` closes over. */
const leaky = `
  const { parentPort } = require('node:worker_threads');
  const visits = [];
  function remember(n) { visits.push({ n, text: 'visit ' + n + ' '.repeat(200) + Math.random() }); }
  for (let n = 0; n < 8000; n++) remember(n);
  parentPort.on('message', remember);
  parentPort.postMessage('ready');
`;

describe('a heap snapshot', () => {
  test('says which variable keeps the memory, of what, and which function sees it', async (t) => {
    const thread = new Worker(leaky, { eval: true });
    t.after(() => thread.terminate());
    await new Promise((resolve) => thread.once('message', resolve));
    const snapshot = await json(await thread.getHeapSnapshot());
    assert.ok(isSnapshot(snapshot));
    const { holders, totalBytes, objects } = summarize(snapshot);
    const [first] = holders;
    assert.equal(first?.name, 'visits');
    assert.equal(first?.kind, 'Array');
    assert.deepEqual(first?.mostly, { kind: 'Object', count: 8_000 });
    assert.ok((first?.share ?? 0) > 0.1, `${first?.share} of ${totalBytes} bytes in ${objects} objects`);
  });

  test('is told in a sentence', () => {
    const holder = { kind: 'Array', keptBytes: 104_857_600, share: 0.92, mostly: null, path: [] };
    assert.equal(
      holderInWords({ ...holder, name: 'visitors', at: 'rememberVisit (/srv/shop/leaks.mjs:6:3)' }),
      'visitors (Array) keeps 100 MiB, 92 % of the heap; used by rememberVisit at leaks.mjs:6',
    );
    assert.equal(
      holderInWords({ ...holder, name: '', at: null }),
      'an object Array keeps 100 MiB, 92 % of the heap',
    );
  });

  test('with a ring of references and without names is read all the same', () => {
    const { holders } = summarize(ring());
    assert.deepEqual(
      holders.map(({ kind, keptBytes }) => [kind, keptBytes]),
      [['Big', 900]],
    );
  });

  test('of an unknown format is refused with the field that is missing', () => {
    const broken = ring();
    const meta = { ...broken.snapshot.meta, node_fields: ['type', 'name'] };
    assert.throws(
      () => summarize({ ...broken, snapshot: { ...broken.snapshot, meta } }),
      /no field self_size/,
    );
    assert.ok(!isSnapshot({ nodes: [] }));
  });
});

/** Root, an object of 500 bytes, and one of 400 that refer to each other. */
function ring(): HeapSnapshot {
  return {
    snapshot: {
      meta: {
        node_fields: ['type', 'name', 'id', 'self_size', 'edge_count'],
        node_types: [['hidden', 'object', 'synthetic']],
        edge_fields: ['type', 'name_or_index', 'to_node'],
        edge_types: [['property', 'element', 'weak']],
      },
      node_count: 3,
      edge_count: 3,
    },
    nodes: [2, 0, 1, 0, 1, 1, 1, 3, 500, 1, 1, 2, 5, 400, 1],
    edges: [1, 0, 5, 0, 3, 10, 0, 3, 5],
    strings: ['', 'Big', 'Small', 'other'],
  };
}
