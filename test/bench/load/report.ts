import { bare, daemon } from './contenders.js';
import { type Figure, type Samples, type Summary, summarise } from './samples.js';

/** The table at the end: medians with the least and the most, the ratios and the targets. */
export function report(samples: Samples): string {
  const head = ['figure', daemon.name, bare.name, 'ratio', 'target'];
  return align([head, ...samples.figures().map((figure) => row(samples, figure))]);
}

function row(samples: Samples, figure: Figure): readonly string[] {
  const own = summarise(samples.of(figure, daemon));
  const peer = summarise(samples.of(figure, bare));
  const counts = figure.unit === 'failed';
  const ratio = counts ? null : summarise(samples.ratios(figure));
  return [
    `${figure.name}, ${figure.unit}`,
    show(own, figure.digits),
    show(peer, figure.digits),
    ratio === null ? '' : show(ratio, 2),
    verdict(figure, own, ratio ?? own),
  ];
}

function verdict({ target }: Figure, own: Summary, ratio: Summary): string {
  if (target === null) return '';
  return `${target.text}: ${target.met(own, ratio) ? 'met' : 'MISSED'}`;
}

function show({ median, min, max }: Summary, digits: number): string {
  const range = min === max ? '' : ` (${min.toFixed(digits)}-${max.toFixed(digits)})`;
  return `${median.toFixed(digits)}${range}`;
}

function align(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((cells) => cells[column]?.length ?? 0)),
  );
  return rows
    .map((cells) =>
      cells
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
