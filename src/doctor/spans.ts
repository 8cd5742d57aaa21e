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

/** How units of time may be written in a file, beside the short form. */
const longer: Readonly<Record<string, string>> = {
  ...{ msec: 'ms', sec: 's', second: 's', seconds: 's', m: 'min', minute: 'min', minutes: 'min' },
  ...{ hr: 'h', hour: 'h', hours: 'h', '': 's' },
};

/** A span as it is written in the file of a unit, such as `30`, `1min 30s`, `2 minutes`; ms, NaN for anything else. */
export function parseWritten(text: string): number {
  if (text === 'infinity') return Number.POSITIVE_INFINITY;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)\s*([a-z]*)\s*/g)];
  if (parts.map(([part]) => part).join('') !== text) return Number.NaN;
  return parts.reduce(
    (sum, [, number = '', unit = '']) => sum + parsePart(number + (longer[unit] ?? unit)),
    0,
  );
}

/** Whole seconds for a unit, rounded up to five: what is written by hand is a round number. */
export function roundSeconds(ms: number): number {
  return Math.ceil(ms / 5_000) * 5;
}
