import type { Spread } from './rounds.js';

/** A group of bars side by side, one for each series that has a value. */
export interface Group {
  readonly name: string;
  readonly bars: readonly (Spread | null)[];
}

export interface BarChart {
  readonly title: string;
  readonly unit: string;
  readonly series: readonly string[];
  readonly groups: readonly Group[];
}

export interface LineChart {
  readonly title: string;
  readonly unit: string;
  /** What stands below the axis, at even distances. */
  readonly ticks: readonly string[];
  readonly lines: readonly { readonly name: string; readonly values: readonly (number | null)[] }[];
}

/** Apart for those who do not see colours as most do (Okabe and Ito), legible on white and on black. */
const colours = ['#0072b2', '#e69f00', '#cc79a7', '#009e73', '#56b4e9', '#8c8c8c', '#d55e00'] as const;

const width = 820;
const height = 340;
const plot = { left: 64, right: 12, top: 64, bottom: 34 } as const;
const inner = { width: width - plot.left - plot.right, height: height - plot.top - plot.bottom };

/** Bars from zero, with a thin line from the least to the most. */
export function barChart({ title, unit, series, groups }: BarChart): string {
  const all = groups.flatMap(({ bars }) => bars.flatMap((bar) => bar?.max ?? []));
  const scale = scaleTo(Math.max(0, ...all));
  const step = inner.width / Math.max(1, groups.length);
  const bar = (step * 0.84) / Math.max(1, series.length);
  const marks = groups.flatMap(({ name, bars }, place) => {
    const from = plot.left + place * step + step * 0.08;
    const drawn = bars.flatMap((spread, nth) =>
      spread === null ? [] : barOf(spread, from + nth * bar, nth),
    );
    return [...drawn, label(name, plot.left + (place + 0.5) * step)];
  });
  return document({ title, unit, series, scale, marks });

  function barOf({ median, min, max }: Spread, x: number, nth: number): string[] {
    const [top, middle] = [scale.y(median), x + (bar - 2) / 2];
    return [
      `<rect x="${px(x)}" y="${px(top)}" width="${px(bar - 2)}" height="${px(scale.y(0) - top)}" fill="${colour(nth)}"/>`,
      `<path class="spread" d="M${px(middle)} ${px(scale.y(min))}V${px(scale.y(max))}"/>`,
    ];
  }
}

export function lineChart({ title, unit, ticks, lines }: LineChart): string {
  const values = lines.flatMap((line) => line.values.flatMap((value) => value ?? []));
  const scale = scaleTo(Math.max(0, ...values));
  const step = inner.width / Math.max(1, ticks.length);
  const x = (place: number) => plot.left + (place + 0.5) * step;
  const marks = [
    ...ticks.map((tick, place) => label(tick, x(place))),
    ...lines.flatMap(({ values: own }, nth) => {
      const points = own.flatMap((value, place) =>
        value === null ? [] : [[x(place), scale.y(value)] as const],
      );
      const path = points
        .map(([left, top], place) => `${place === 0 ? 'M' : 'L'}${px(left)} ${px(top)}`)
        .join('');
      const dots = points.map(
        ([left, top]) => `<circle cx="${px(left)}" cy="${px(top)}" r="3.5" fill="${colour(nth)}"/>`,
      );
      return [`<path d="${path}" fill="none" stroke="${colour(nth)}" stroke-width="2"/>`, ...dots];
    }),
  ];
  return document({ title, unit, series: lines.map(({ name }) => name), scale, marks });
}

interface Scale {
  readonly y: (value: number) => number;
  readonly ticks: readonly number[];
}

/** Four to eight even steps of 1, 2 or 5 times a power of ten. */
export function scaleTo(most: number): Scale {
  const rough = (most || 1) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  const count = Math.ceil((most || 1) / step);
  const top = count * step;
  return {
    y: (value) => plot.top + inner.height * (1 - value / top),
    ticks: Array.from({ length: count + 1 }, (_, nth) => nth * step),
  };
}

interface Parts {
  readonly title: string;
  readonly unit: string;
  readonly series: readonly string[];
  readonly scale: Scale;
  readonly marks: readonly string[];
}

function document({ title, unit, series, scale, marks }: Parts): string {
  const grid = scale.ticks.flatMap((tick) => [
    `<path class="grid" d="M${plot.left} ${px(scale.y(tick))}H${width - plot.right}"/>`,
    `<text class="tick" x="${plot.left - 6}" y="${px(scale.y(tick) + 4)}" text-anchor="end">${number(tick)}</text>`,
  ]);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(title)}">
<style>
  .paper { fill: #ffffff; } text { font: 12px system-ui, sans-serif; fill: #24292f; } .title { font-size: 14px; font-weight: 600; }
  .grid { stroke: #d0d7de; } .spread { stroke: #24292f; stroke-width: 1.5; }
  @media (prefers-color-scheme: dark) { .paper { fill: #0d1117; } text { fill: #e6edf3; } .grid { stroke: #30363d; } .spread { stroke: #e6edf3; } }
</style>
<rect class="paper" width="100%" height="100%" rx="6"/>
<text class="title" x="12" y="22">${escaped(title)}</text><text x="${width - plot.right}" y="22" text-anchor="end">${escaped(unit)}</text>
${[...legend(series), ...grid, ...marks].join('\n')}
</svg>
`;
}

function legend(series: readonly string[]): readonly string[] {
  let x = 12;
  return series.map((name, nth) => {
    const at = x;
    x += 24 + name.length * 6.6;
    return `<rect x="${px(at)}" y="34" width="10" height="10" fill="${colour(nth)}"/><text x="${px(at + 14)}" y="43">${escaped(name)}</text>`;
  });
}

function label(text: string, x: number): string {
  return `<text x="${px(x)}" y="${height - 12}" text-anchor="middle">${escaped(text)}</text>`;
}

function colour(nth: number): string {
  return colours[nth % colours.length] ?? colours[0];
}

function px(value: number): string {
  return value.toFixed(1).replace(/\.0$/, '');
}

function number(value: number): string {
  return Number(value.toPrecision(6)).toLocaleString('en-US');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
