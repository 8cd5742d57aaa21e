/** Microseconds in each unit that systemd prints, systemd.time(7). */
const units: Readonly<Record<string, number>> = {
  us: 1,
  ms: 1_000,
  s: 1_000_000,
  min: 60_000_000,
  h: 3_600_000_000,
  d: 86_400_000_000,
  w: 604_800_000_000,
  month: 2_629_800_000_000,
  y: 31_557_600_000_000,
};

/** `1min 30s`, `1h 3.020000s`, `infinity`, `0` as `systemctl show` prints them; ms, NaN for anything else. */
export function parseSpan(text: string): number {
  if (text === 'infinity') return Number.POSITIVE_INFINITY;
  if (text === '0') return 0;
  const parts = text.split(' ').map(parsePart);
  return parts.reduce((sum, part) => sum + part, 0);
}

function parsePart(part: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)([a-z]+)$/.exec(part) ?? [];
  return (Number(number) * (units[unit] ?? Number.NaN)) / 1_000;
}

/** Whole seconds for a unit, rounded up to five: what is written by hand is a round number. */
export function roundSeconds(ms: number): number {
  return Math.ceil(ms / 5_000) * 5;
}
