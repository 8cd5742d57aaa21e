/** The charts below the lanes: one time, one cursor. */
import uPlot from 'uplot';
import { colour, darkness, element, put, say } from './dom.js';
import type { Column, Series } from './series.js';
import type { Flag } from './store.js';
import { bytes, clock, count, duration, percent } from './words.js';

interface Line {
  readonly column: Column;
  readonly label: string;
  /** Of style.css. */
  readonly colour: string;
  readonly dash?: 'dashed' | 'dotted';
  readonly filled?: boolean;
}

interface Chart {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly format: (value: number) => string;
  /** The scale reaches at least so far. */
  readonly least: number;
  /** ... and ends there, whatever comes. */
  readonly most?: number;
  readonly increments?: number[];
}

const binary = Array.from({ length: 44 }, (_, power) => 2 ** power);

const charts: readonly Chart[] = [
  {
    title: 'Requests per second',
    lines: [
      { column: 'requestsPerSecond', label: 'all', colour: 'blue', filled: true },
      { column: 'errorsPerSecond', label: 'errors (5xx)', colour: 'red', dash: 'dashed' },
    ],
    format: (value) => `${count(value)} /s`,
    least: 5,
  },
  {
    title: 'Latency',
    lines: [
      { column: 'p50', label: 'p50', colour: 'green', dash: 'dotted' },
      { column: 'p90', label: 'p90', colour: 'blue', dash: 'dashed' },
      { column: 'p99', label: 'p99', colour: 'purple' },
    ],
    format: duration,
    least: 10,
  },
  {
    title: 'Event loop, busy',
    lines: [{ column: 'eventLoopUtilization', label: 'mean of the workers', colour: 'orange', filled: true }],
    format: percent,
    least: 1,
    most: 1,
  },
  {
    title: 'Memory',
    lines: [
      { column: 'rssBytes', label: 'RSS, all', colour: 'blue' },
      { column: 'heapUsedBytes', label: 'heap, all workers', colour: 'green', dash: 'dashed' },
      { column: 'largestHeapBytes', label: 'largest heap', colour: 'purple', dash: 'dotted' },
    ],
    format: bytes,
    least: 32 * 1024 * 1024,
    increments: binary,
  },
];

const dashes = { dashed: [7, 4], dotted: [2, 3] };
/** Right of the plots and of the lanes, px: room for half of the last time. */
export const rightPadding = 28;
const plotHeight = 104;
const lastHeight = 126;

/** Left of the plots and of the lanes, px: room for the numbers of a scale. */
export function gutter(): number {
  return Number.parseInt(colour('gutter'), 10) || 58;
}

export interface View {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface ChartsOptions {
  readonly into: HTMLElement;
  readonly series: Series;
  readonly flags: () => readonly Flag[];
  /** px from the left edge of the plot; null: the pointer has left. */
  readonly cursor: (left: number | null, atMs: number | null) => void;
}

export class Charts {
  readonly #options: ChartsOptions;
  #plots: {
    readonly plot: uPlot;
    readonly chart: Chart;
    readonly values: readonly HTMLElement[];
    readonly box: HTMLElement;
  }[] = [];
  #view: View = { fromMs: 0, toMs: 1 };
  #width = 0;
  #index: number | null = null;

  constructor(options: ChartsOptions) {
    this.#options = options;
    this.#build();
    darkness.addEventListener('change', () => this.#build());
    new ResizeObserver(() => this.#fit()).observe(options.into);
  }

  show(view: View): void {
    this.#view = view;
    const { series } = this.#options;
    for (const { plot, chart, box } of this.#plots) {
      plot.setData(
        [series.times, ...chart.lines.map(({ column }) => series.column(column))] as uPlot.AlignedData,
        false,
      );
      plot.setScale('x', { min: view.fromMs / 1_000, max: view.toMs / 1_000 });
      describe(box, chart, series, view);
    }
    this.#tell();
  }

  /** Moves the cursor of all charts. */
  point(left: number | null): void {
    for (const { plot } of this.#plots) plot.setCursor({ left: left ?? -10, top: left === null ? -10 : 10 });
  }

  #fit(): void {
    const width = this.#options.into.clientWidth;
    if (width === this.#width || width === 0) return;
    this.#width = width;
    for (const { plot } of this.#plots) plot.setSize({ width, height: plot.height });
  }

  #build(): void {
    const { into } = this.#options;
    for (const { plot } of this.#plots) plot.destroy();
    into.replaceChildren();
    this.#width = into.clientWidth;
    this.#plots = charts.map((chart, index) => this.#one(chart, index === charts.length - 1));
    this.show(this.#view);
  }

  #one(chart: Chart, last: boolean) {
    const values = chart.lines.map(() => element('b', {}, '–'));
    const head = element(
      'div',
      { class: 'chart-head' },
      element('h3', {}, chart.title),
      ...chart.lines.map(({ label, colour: name, dash }, index) => {
        const key = element('i', dash === undefined ? {} : { class: dash });
        key.style.borderTopColor = `var(--${name})`;
        return element('span', {}, key, `${label} `, values[index] ?? null);
      }),
    );
    const box = element('div', { attributes: { role: 'img' } });
    this.#options.into.append(element('div', { class: 'chart' }, head, box));
    const plot = new uPlot(
      this.#settings(chart, last),
      [[], ...chart.lines.map(() => [])] as unknown as uPlot.AlignedData,
      box,
    );
    return { plot, chart, values, box };
  }

  #settings({ lines, format, least, most, increments }: Chart, last: boolean): uPlot.Options {
    const font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const grid = { stroke: colour('grid'), width: 1 };
    const common = { stroke: colour('muted'), font, grid, ticks: { show: false } };
    return {
      width: Math.max(this.#width, 50),
      height: last ? lastHeight : plotHeight,
      padding: [6, rightPadding, last ? 0 : 4, 0],
      legend: { show: false },
      cursor: {
        sync: { key: 'rom-agent' },
        drag: { x: false, y: false },
        points: { size: 7 },
      },
      scales: {
        x: { time: true, range: () => [this.#view.fromMs / 1_000, this.#view.toMs / 1_000] },
        y: { range: (_plot, _low, high) => [0, most ?? Math.max(least, (high ?? 0) * 1.12)] },
      },
      axes: [
        {
          ...common,
          size: last ? 24 : 0,
          space: 80,
          values: (_plot, splits) =>
            last ? splits.map((at) => timeLabel(at, this.#view)) : splits.map(() => ''),
        },
        {
          ...common,
          size: gutter(),
          gap: 6,
          space: 30,
          ...(increments === undefined ? {} : { incrs: increments }),
          values: (_plot, splits) => splits.map(format),
        },
      ],
      series: [
        {},
        ...lines.map(({ label, colour: name, dash, filled }): uPlot.Series => {
          const stroke = colour(name);
          return {
            label,
            stroke,
            width: 1.75,
            points: { show: false },
            spanGaps: false,
            ...(dash === undefined ? {} : { dash: dashes[dash] }),
            ...(filled === true ? { fill: `color-mix(in srgb, ${stroke} 16%, transparent)` } : {}),
          };
        }),
      ],
      hooks: {
        draw: [(plot) => this.#drawFlags(plot)],
        setCursor: [(plot) => this.#moved(plot)],
      },
    };
  }

  #drawFlags(plot: uPlot): void {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.lineWidth = devicePixelRatio * 1.5;
    for (const { atMs, kind } of this.#options.flags()) {
      if (atMs < this.#view.fromMs || atMs > this.#view.toMs) continue;
      const x = plot.valToPos(atMs / 1_000, 'x', true);
      ctx.strokeStyle = colour(kind === 'death' ? 'critical' : 'purple');
      ctx.setLineDash(
        kind === 'reload' ? [] : kind === 'death' ? [2 * devicePixelRatio, 3 * devicePixelRatio] : [8, 4],
      );
      ctx.globalAlpha = 0.75;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  }

  #moved(plot: uPlot): void {
    const { left = -10, idx } = plot.cursor;
    const out = left < 0 || idx === null || idx === undefined;
    if ((out ? null : idx) === this.#index) return;
    this.#index = out ? null : idx;
    this.#tell();
    const time = out ? undefined : this.#options.series.times[idx];
    this.#options.cursor(out ? null : left, time === undefined ? null : time * 1_000);
  }

  /** Values where the cursor is, else the last. */
  #tell(): void {
    const { series } = this.#options;
    const at = this.#index ?? series.length - 1;
    for (const { chart, values } of this.#plots) {
      for (const [index, { column }] of chart.lines.entries()) {
        const value = series.column(column)[at] ?? null;
        const place = values[index];
        if (place !== undefined) say(place, value === null ? '–' : chart.format(value));
      }
    }
  }
}

function timeLabel(at: number, { fromMs, toMs }: View): string {
  const text = clock(at * 1_000);
  return toMs - fromMs > 10 * 60_000 ? text.slice(0, 5) : text;
}

function describe(box: HTMLElement, { title, lines, format }: Chart, series: Series, { fromMs }: View): void {
  const parts = lines.map(({ column, label }) => {
    const last = series.last(column);
    const most = series.greatest(column, fromMs / 1_000);
    return `${label}: ${last === null ? 'unknown' : format(last)}${most === null ? '' : `, at most ${format(most)}`}`;
  });
  put(box, 'aria-label', `${title}. ${parts.join('; ')}`);
}
