import { stripVTControlCharacters } from 'node:util';

/** Rows as lines of aligned columns; those named in `right` (from 0) end together. Colours take no width. */
export function table(
  rows: readonly (readonly string[])[],
  { right = [] }: { readonly right?: readonly number[] } = {},
): string {
  const count = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, column) =>
    Math.max(...rows.map((row) => visible(row[column] ?? ''))),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => {
        const space = ' '.repeat((widths[column] ?? 0) - visible(cell));
        return right.includes(column) ? `${space}${cell}` : `${cell}${space}`;
      })
      .join('  ')
      .trimEnd();
  return rows.map((row) => `${line(row)}\n`).join('');
}

/** How many lines of a terminal a text takes, those that wrap counted as often as they do. */
export function height(text: string, columns: number): number {
  const lines = text.replace(/\n$/, '').split('\n');
  return lines.reduce((sum, line) => sum + Math.max(1, Math.ceil(visible(line) / columns)), 0);
}

function visible(text: string): number {
  return stripVTControlCharacters(text).length;
}
