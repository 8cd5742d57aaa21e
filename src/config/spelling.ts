/**
 * The candidate closest to `name`, if one is close, or the first that goes on where it ends. Case, hyphens and the
 * section do not count.
 */
export function closest(name: string, candidates: readonly string[]): string | undefined {
  const ranked = candidates
    .map((candidate) => ({ candidate, distance: likeness(name, candidate) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best !== undefined && best.distance <= Math.max(1, Math.floor(name.length / 4))
    ? best.candidate
    : candidates.find((candidate) => name.length > 2 && candidate.startsWith(`${name}_`));
}

/** 0 for the same letters; half a point off where only the last segments are alike. */
function likeness(name: string, candidate: string): number {
  const whole = distance(letters(name), letters(candidate));
  return Math.min(whole, distance(letters(lastSegment(name)), letters(lastSegment(candidate))) + 0.5);
}

function letters(text: string): string {
  return text.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
}

function lastSegment(text: string): string {
  return text.slice(text.lastIndexOf('.') + 1);
}

/** The number of letters to insert, delete, replace or swap with their neighbour (optimal string alignment). */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, index) => index)];
  const at = (i: number, j: number) => rows[i]?.[j] ?? Number.POSITIVE_INFINITY;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? at(i - 2, j - 2) + 1 : replaced;
      row.push(Math.min(replaced, swapped, at(i - 1, j) + 1, at(i, j - 1) + 1));
    }
  }
  return at(a.length, b.length);
}
