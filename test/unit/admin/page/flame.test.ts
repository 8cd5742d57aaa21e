import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  boxesOf,
  type CpuProfile,
  flameOf,
  hottest,
  isProfile,
  type ProfileNode,
} from '../../../../src/admin/page/flame.js';

function node(id: number, functionName: string, url: string, children: readonly number[] = []): ProfileNode {
  return { id, callFrame: { functionName, url, lineNumber: 11, columnNumber: 4 }, children };
}

/** `handle` calls `sum` twice as often as it is busy itself; the rest is idle. */
const profile: CpuProfile = {
  startTime: 0,
  endTime: 10_000,
  nodes: [
    node(1, '(root)', '', [2, 5]),
    node(2, 'handle', 'file:///srv/shop/server.js', [3]),
    node(3, 'sum', '/srv/shop/node_modules/adder/index.js', [4]),
    node(4, 'sum', '/srv/shop/node_modules/adder/index.js'),
    node(5, '(idle)', ''),
  ],
  samples: [2, 3, 4, 5, 5],
  timeDeltas: [1_000, 1_000, 1_000, 4_000, 3_000],
};

describe('a CPU profile', () => {
  test('becomes a tree with the time in each function, without the idle time', () => {
    const { root, total, idle, depth } = flameOf(profile);
    assert.deepEqual([root.total, total, idle, depth], [3_000, 10_000, 7_000, 3]);
    const [handle] = root.children;
    assert.deepEqual(
      [handle?.name, handle?.place, handle?.self, handle?.total, handle?.origin],
      ['handle', '/srv/shop/server.js:12', 1_000, 3_000, 'app'],
    );
    assert.equal(handle?.children[0]?.origin, 'package');
  });

  test('names the hottest functions, and counts a recursion once', () => {
    const [first, second] = hottest(flameOf(profile).root, 10);
    assert.deepEqual([first?.name, first?.self, first?.total], ['sum', 2_000, 2_000]);
    assert.deepEqual([second?.name, second?.self, second?.total], ['handle', 1_000, 3_000]);
  });

  test('without samples counts hits', () => {
    const { nodes, startTime, endTime } = profile;
    const hits = nodes.map((one) => ({ ...one, hitCount: one.id === 2 ? 3 : one.id === 5 ? 7 : 0 }));
    const { root, idle } = flameOf({ nodes: hits, startTime, endTime });
    assert.deepEqual([root.total, idle], [3_000, 7_000]);
  });

  test('is drawn below the frame to which it is zoomed', () => {
    const { root } = flameOf(profile);
    const [handle] = root.children;
    assert.ok(handle);
    const boxes = boxesOf([root, handle], 0.01);
    assert.deepEqual(
      boxes.map(({ frame, row, ancestor }) => [frame.name, row, ancestor]),
      [
        ['all', 0, true],
        ['handle', 1, false],
        ['sum', 2, false],
        ['sum', 3, false],
      ],
    );
    assert.ok(Math.abs((boxes[2]?.width ?? 0) - 2 / 3) < 1e-9);
  });

  test('is told from other files', () => {
    assert.ok(isProfile(profile));
    for (const other of [null, 1, [], {}, { nodes: [] }, { nodes: [{}], startTime: '0', endTime: 1 }]) {
      assert.ok(!isProfile(other), JSON.stringify(other));
    }
  });
});
