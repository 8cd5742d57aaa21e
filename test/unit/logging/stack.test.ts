import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { foldStack, formatJournal, formatPretty, stackOnOneLine } from '../../../src/logging/format.js';

const stack = [
  'Error: no such order',
  '    at find (/srv/shop/node_modules/pg/lib/query.js:7:11)',
  '    at Pool.query (/srv/shop/node_modules/pg/lib/pool.js:9:3)',
  '    at process.processTicksAndRejections (node:internal/process/task_queues:105:5)',
  '    at async orders (/srv/shop/orders.js:12:5)',
  '    at Layer.handle (/srv/shop/node_modules/express/lib/layer.js:95:5)',
  '    at new Promise (<anonymous>)',
  '    at /srv/shop/server.js:30:1',
  'caused by: Error: connect ECONNREFUSED',
  '    at TCPConnectWrap.afterConnect (node:net:1611:16)',
  '    at node:internal/main/run_main_module:36:49',
].join('\n');

test('of frames of Node and of packages the topmost stays, and the others are counted', () => {
  assert.equal(
    foldStack(stack),
    [
      'Error: no such order',
      '    at find (/srv/shop/node_modules/pg/lib/query.js:7:11)',
      '    … 2 frames of Node and node_modules',
      '    at async orders (/srv/shop/orders.js:12:5)',
      '    … 2 frames of Node and node_modules',
      '    at /srv/shop/server.js:30:1',
      'caused by: Error: connect ECONNREFUSED',
      '    at TCPConnectWrap.afterConnect (node:net:1611:16)',
      '    … 1 frame of Node',
    ].join('\n'),
  );
});

test('a stack without a message, as of a worker that hangs, is folded too', () => {
  const hung =
    '    at checkout (/srv/shop/prices.js:31:14)\n    at Object.<anonymous> (/a/node_modules/b/c.js:1:1)';
  assert.equal(stackOnOneLine(hung), 'at checkout (/srv/shop/prices.js:31:14) | … 1 frame of node_modules');
});

test('an app whose own frames look like none of these keeps them all', () => {
  const own = 'Error: x\n    at a (/srv/node.js:1:1)\n    at b (file:///srv/my_node_modules.mjs:2:2)';
  assert.equal(foldStack(own), own);
});

test("frames of the daemon's own are counted too, unless the bug is its own", () => {
  const own = `    at emit (${fileURLToPath(new URL('../../../src/worker/serve.js', import.meta.url))}:1:1)`;
  const app = ['Error: x', '    at handler (/srv/shop/server.js:2:1)'];
  assert.equal(foldStack([...app, own, own].join('\n')), [...app, '    … 2 frames of rom-agent'].join('\n'));
  const bug = ['Error: x', '    at serve (node:net:1:1)', own, own].join('\n');
  assert.equal(foldStack(bug), bug);
});

test('in the journal it is one readable line, on a terminal it is lines', () => {
  const entry = { level: 'error', time: '2026-11-23T03:04:05.006Z', pid: 42, msg: 'died', stack } as const;
  const bindings = { role: 'master' };
  const journal = formatJournal(entry, { bindings });
  assert.equal(journal.split('\n').length, 2);
  assert.match(journal, / \| … 2 frames of Node and node_modules \| at async orders \(/);
  assert.doesNotMatch(journal, /\\n/);
  assert.match(
    formatPretty(entry, { bindings, colour: false }),
    /\n {8}… 2 frames of Node and node_modules\n/,
  );
});
