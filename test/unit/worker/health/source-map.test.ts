import assert from 'node:assert/strict';
import { SourceMap } from 'node:module';
import { test } from 'node:test';
import { transformSync } from 'esbuild';
import { originalPosition } from '../../../../src/worker/health/source-map.js';

const source = `interface Order { readonly id: number }

enum Kind {
  Small,
  Large,
}

export class Orders {
  private readonly all: Order[] = [];
  add(order: Order): Kind {
    this.all.push(order); const many = this.all.filter(({ id }) => id > 3);
    return many.length > 2 ? Kind.Large : Kind.Small;
  }
}
`;

test('every place of compiled code has the source that the SourceMap of Node finds', () => {
  for (const minify of [false, true]) {
    const { code, map } = transformSync(source, {
      loader: 'ts',
      sourcemap: true,
      sourcefile: 'orders.ts',
      minify,
    });
    const payload = JSON.parse(map);
    const nodes = new SourceMap(payload);
    let compared = 0;
    for (const [line, text] of code.split('\n').entries()) {
      for (let column = 0; column < text.length; column++) {
        const entry = nodes.findEntry(line, column);
        const found = originalPosition(payload.mappings, line, column);
        // Node goes back to earlier lines where a line has no segment before the place.
        if (found === null) continue;
        assert.ok('originalLine' in entry, `${line}:${column}`);
        assert.deepEqual(
          [found.line, found.column, payload.sources[found.source]],
          [entry.originalLine, entry.originalColumn, 'orders.ts'],
          `${line}:${column}`,
        );
        compared++;
      }
    }
    assert.ok(compared > 100, `${compared}`);
  }
});

test('a place before the first segment of its line, and mappings that are none, lead nowhere', () => {
  assert.equal(originalPosition(';;EACA', 0, 0), null);
  assert.equal(originalPosition(';;EACA', 2, 1), null);
  assert.deepEqual(originalPosition(';;EACA', 2, 2), { source: 0, line: 1, column: 0 });
  assert.equal(originalPosition('!', 0, 0), null);
  assert.equal(originalPosition('', 3, 3), null);
});

test('it can be run from its source text alone', () => {
  const alone = new Function(`return ${originalPosition.toString()}`)();
  assert.deepEqual(alone('AACA', 0, 5), { source: 0, line: 1, column: 0 });
});
