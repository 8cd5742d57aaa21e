import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DOMParser } from '@xmldom/xmldom';
import { barChart, lineChart, scaleTo } from './plots.js';

function parsed(svg: string) {
  const onError = (level: string, message: string) => {
    throw new Error(`${level}: ${message}`);
  };
  return new DOMParser({ onError }).parseFromString(svg, 'image/svg+xml');
}

const spread = (median: number) => ({ median, min: median * 0.9, max: median * 1.1 });

test('the axis begins at zero and ends above the most, in steps of 1, 2 or 5', () => {
  assert.deepEqual(scaleTo(41_200).ticks, [0, 10_000, 20_000, 30_000, 40_000, 50_000]);
  assert.deepEqual(scaleTo(0.9).ticks.at(-1), 1);
  assert.deepEqual(scaleTo(0).ticks.at(-1), 1);
});

test('a series without a value in a group has no bar there', () => {
  const svg = barChart({
    title: 'Requests < & > "quotes"',
    unit: 'requests/s',
    series: ['rom-agent', 'PM2'],
    groups: [
      { name: 'Node 20', bars: [spread(10), null] },
      { name: 'Node 24', bars: [spread(20), spread(15)] },
    ],
  });
  const document = parsed(svg);
  const bars = [...document.getElementsByTagName('path')].filter(
    (path) => path.getAttribute('class') === 'spread',
  );
  assert.equal(bars.length, 3);
});

test('a bar twice as large is twice as high', () => {
  const svg = barChart({
    title: 't',
    unit: 'ms',
    series: ['a', 'b'],
    groups: [{ name: 'g', bars: [spread(10), spread(20)] }],
  });
  const all = [...parsed(svg).getElementsByTagName('rect')].filter((rect) => rect.getAttribute('x') !== null);
  const heights = all.map((rect) => Number(rect.getAttribute('height'))).filter((height) => height > 10);
  assert.equal(heights.length, 2);
  assert.ok(Math.abs((heights[1] ?? 0) / (heights[0] ?? 1) - 2) < 0.01, `${heights}`);
});

test('a line leaves out what was not measured', () => {
  const svg = lineChart({
    title: 'Memory',
    unit: 'MB',
    ticks: ['1', '4', '16'],
    lines: [{ name: 'rom-agent', values: [50, null, 300] }],
  });
  assert.equal(parsed(svg).getElementsByTagName('circle').length, 2);
});
