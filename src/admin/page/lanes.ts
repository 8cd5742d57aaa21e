/** The workers' lanes on a canvas. */

import { gutter, rightPadding, type View } from './charts.js';
import { colour, say } from './dom.js';
import type { Store } from './store.js';
import { type Bar, type Mark, type Row, rowsOf } from './timeline.js';
import { clock, wholeSeconds } from './words.js';

const phaseWords: Readonly<Record<Bar['phase'], string>> = {
  starting: 'starting',
  spare: 'a spare',
  ready: 'ready',
  draining: 'draining',
  dying: 'being killed',
};

export class LanesView {
  readonly #canvas: HTMLCanvasElement;
  readonly #text: HTMLElement;
  readonly #line: HTMLElement;
  readonly #point: (left: number | null) => void;
  #rows: readonly Row[] = [];
  #view: View = { fromMs: 0, toMs: 1 };
  #height = 0;
  #width = 0;
  /** Of the plots, px. */
  #left = 0;

  constructor(
    box: HTMLElement,
    { text, point }: { readonly text: HTMLElement; readonly point: (left: number | null) => void },
  ) {
    const canvas = box.querySelector('canvas');
    if (canvas === null) throw new Error('index.html has no canvas for the lanes');
    this.#canvas = canvas;
    this.#text = text;
    this.#point = point;
    this.#line = document.createElement('div');
    this.#line.className = 'line-at';
    this.#line.hidden = true;
    box.append(this.#line);
    canvas.addEventListener('pointermove', (event) => this.#over(event));
    canvas.addEventListener('pointerleave', () => {
      point(null);
      say(text, '\u00a0');
    });
  }

  /** @param left px from the left edge of the plots */
  mark(left: number | null): void {
    this.#line.hidden = left === null;
    if (left !== null) this.#line.style.left = `${this.#left + left}px`;
  }

  show(store: Store, view: View): void {
    this.#view = view;
    this.#left = gutter();
    this.#rows = rowsOf(store.lanes.all(), {
      ...view,
      workers: Math.min(store.stats?.wanted ?? 0, 1_024),
    });
    const width = this.#canvas.parentElement?.clientWidth ?? 0;
    if (width === 0) return;
    const height = Math.max(1, this.#rows.length) * rowHeight(this.#rows.length) + 6;
    const scale = devicePixelRatio;
    if (height !== this.#height || width * scale !== this.#canvas.width) {
      this.#height = height;
      this.#canvas.width = width * scale;
      this.#canvas.height = height * scale;
      this.#canvas.style.height = `${height}px`;
    }
    this.#width = width;
    const context = this.#canvas.getContext('2d');
    if (context === null) return;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    this.#draw(context, store);
  }

  #x(atMs: number): number {
    const { fromMs, toMs } = this.#view;
    return this.#left + ((atMs - fromMs) / (toMs - fromMs)) * (this.#width - this.#left - rightPadding);
  }

  #draw(context: CanvasRenderingContext2D, store: Store): void {
    const tall = rowHeight(this.#rows.length);
    const ink = colours();
    const font = `${Math.min(12, Math.max(9, tall - 4))}px ${getComputedStyle(document.body).fontFamily}`;
    context.font = font;
    context.textBaseline = 'middle';
    const every = tall < 12 ? Math.ceil(12 / tall) : 1;
    for (const [index, row] of this.#rows.entries()) {
      const top = 3 + index * tall;
      context.fillStyle = ink.sunk;
      context.fillRect(this.#left, top + 1, this.#width - this.#left - rightPadding, tall - 2);
      if (index % every === 0) {
        context.fillStyle = ink.muted;
        context.textAlign = 'right';
        context.fillText(row.worker === null ? 'spare' : `w ${row.worker}`, this.#left - 8, top + tall / 2);
      }
      const double = row.bars.some(({ track }) => track === 1);
      for (const bar of row.bars) this.#bar(context, bar, { top, tall, double, ink });
      for (const mark of row.marks) this.#mark(context, mark, { top, tall, double, ink });
    }
    for (const { atMs, kind } of store.flags()) {
      if (kind === 'death' || atMs < this.#view.fromMs || atMs > this.#view.toMs) continue;
      context.strokeStyle = ink.purple;
      context.lineWidth = 1.5;
      context.setLineDash(kind === 'reload' ? [] : [6, 3]);
      context.beginPath();
      context.moveTo(this.#x(atMs), 0);
      context.lineTo(this.#x(atMs), this.#height);
      context.stroke();
      context.setLineDash([]);
    }
  }

  #bar(context: CanvasRenderingContext2D, { phase, fromMs, toMs, track }: Bar, at: Where): void {
    const { y, high } = place(track, at);
    const x = this.#x(fromMs);
    const wide = Math.max(1.5, this.#x(toMs) - x);
    const { ink } = at;
    if (phase === 'starting') {
      context.strokeStyle = ink.blue;
      context.lineWidth = 1.25;
      context.setLineDash([3, 2]);
      context.strokeRect(x + 0.5, y + 0.5, Math.max(1, wide - 1), Math.max(1, high - 1));
      context.setLineDash([]);
      return;
    }
    if (phase === 'draining') {
      context.fillStyle = hatch(context, ink.orange);
      context.fillRect(x, y, wide, high);
      context.strokeStyle = ink.orange;
      context.lineWidth = 1;
      context.strokeRect(x + 0.5, y + 0.5, Math.max(1, wide - 1), Math.max(1, high - 1));
      return;
    }
    context.fillStyle = { ready: ink.blue, spare: ink.green, dying: ink.red }[phase];
    context.fillRect(x, y, wide, high);
  }

  #mark(context: CanvasRenderingContext2D, { atMs, track, kind }: Mark, at: Where): void {
    const { y, high } = place(track, at);
    const x = this.#x(atMs);
    const middle = y + high / 2;
    const size = Math.min(5, Math.max(3, at.tall / 3.5));
    const calm = kind === 'drained' || kind === 'unseen';
    context.lineWidth = calm ? 1.5 : 2.5;
    for (const [style, extra] of [
      [at.ink.card, 3],
      [calm ? at.ink.muted : at.ink.critical, 0],
    ] as const) {
      context.strokeStyle = style;
      context.lineWidth = (calm ? 1.5 : 2.5) + extra;
      context.beginPath();
      if (calm) context.arc(x, middle, size - 1, 0, 2 * Math.PI);
      else {
        context.moveTo(x - size, middle - size);
        context.lineTo(x + size, middle + size);
        context.moveTo(x + size, middle - size);
        context.lineTo(x - size, middle + size);
      }
      context.stroke();
    }
  }

  #over(event: PointerEvent): void {
    const { left, top } = this.#canvas.getBoundingClientRect();
    const x = event.clientX - left;
    this.#point(x < this.#left || x > this.#width - rightPadding ? null : x - this.#left);
    const row = this.#rows[Math.floor((event.clientY - top - 3) / rowHeight(this.#rows.length))];
    const { fromMs, toMs } = this.#view;
    const at = fromMs + ((x - this.#left) / (this.#width - this.#left - rightPadding)) * (toMs - fromMs);
    say(this.#text, row === undefined ? '\u00a0' : this.#words(row, at));
  }

  #words({ worker, bars, marks }: Row, at: number): string {
    const name = worker === null ? 'spares' : `worker ${worker}`;
    const near = ((this.#view.toMs - this.#view.fromMs) / this.#width) * 7;
    const mark = marks.find(({ atMs }) => Math.abs(atMs - at) <= near);
    if (mark !== undefined) return `${clock(mark.atMs)} · ${name} · ${endWords[mark.kind]}`;
    const here = bars.filter(({ fromMs, toMs }) => fromMs <= at && at <= toMs);
    if (here.length === 0) return `${clock(at)} · ${name} · no process`;
    const texts = here.map(
      ({ phase, fromMs }) => `${phaseWords[phase]} for ${wholeSeconds((at - fromMs) / 1_000)}`,
    );
    return `${clock(at)} · ${name} · ${texts.join(', and the one before ')}`;
  }
}

const endWords: Readonly<Record<Mark['kind'], string>> = {
  drained: 'ended as it was to',
  killed: 'killed by the master, at a limit',
  boot: 'could not start',
  crash: 'crashed',
  hang: 'hung, and was killed',
  unseen: 'ended',
};

interface Where {
  readonly top: number;
  readonly tall: number;
  readonly double: boolean;
  readonly ink: ReturnType<typeof colours>;
}

/** The next process of a slot stands below the one that it replaces. */
function place(track: 0 | 1, { top, tall, double }: Where): { y: number; high: number } {
  const inner = tall - 4;
  if (!double) return { y: top + 2, high: inner };
  const half = inner / 2;
  return { y: top + 2 + track * half, high: half - 0.5 };
}

/** 64 workers take no more than 500 px. */
function rowHeight(rows: number): number {
  return Math.max(5, Math.min(22, Math.floor(500 / Math.max(1, rows))));
}

function colours() {
  const names = ['sunk', 'muted', 'blue', 'green', 'orange', 'red', 'purple', 'critical', 'card'] as const;
  return Object.fromEntries(names.map((name) => [name, colour(name)])) as Record<
    (typeof names)[number],
    string
  >;
}

let pattern: { readonly of: string; readonly made: CanvasPattern } | null = null;

function hatch(context: CanvasRenderingContext2D, of: string): CanvasPattern | string {
  if (pattern?.of === of) return pattern.made;
  const tile = document.createElement('canvas');
  tile.width = 6;
  tile.height = 6;
  const pen = tile.getContext('2d');
  if (pen === null) return of;
  pen.strokeStyle = of;
  pen.lineWidth = 2;
  for (const shift of [-6, 0, 6]) {
    pen.moveTo(shift, 6);
    pen.lineTo(shift + 6, 0);
  }
  pen.stroke();
  const made = context.createPattern(tile, 'repeat');
  if (made === null) return of;
  pattern = { of, made };
  return made;
}
