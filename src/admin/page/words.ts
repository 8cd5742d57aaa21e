/** Numbers, times and places as they are shown; nothing here knows the DOM. */
export { bytes, inWords, type Place, percent, placeOf } from '../../heap/words.js';

const integers = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });

/** `1,240`; below ten with one decimal. */
export function count(value: number): string {
  return (Math.abs(value) < 10 ? tenths : integers).format(value);
}

/** `850 ms`, `4.2 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`. */
export function duration(ms: number): string {
  if (ms < 1) return ms <= 0 ? '0 ms' : '<1 ms';
  if (ms < 1_000) return `${integers.format(ms)} ms`;
  const seconds = ms / 1_000;
  if (seconds < 10) return `${tenths.format(seconds)} s`;
  return wholeSeconds(Math.round(seconds));
}

/** The same from whole seconds, which claim no tenth: `4 s`. */
export function wholeSeconds(seconds: number): string {
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 3_600) return two(seconds, 60, 'min', 1, 's');
  if (seconds < 86_400) return two(seconds, 3_600, 'h', 60, 'min');
  return two(seconds, 86_400, 'd', 3_600, 'h');
}

function two(seconds: number, big: number, bigUnit: string, small: number, smallUnit: string): string {
  const whole = Math.floor(seconds / big);
  const rest = Math.floor((seconds % big) / small);
  return rest === 0 ? `${whole} ${bigUnit}` : `${whole} ${bigUnit} ${rest} ${smallUnit}`;
}

/** `just now`, `12 s ago`. */
export function ago(ms: number): string {
  return ms < 1_500 ? 'just now' : `${wholeSeconds(ms / 1_000)} ago`;
}

/** `1 worker`, `3 workers`. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${integers.format(value)} ${value === 1 ? one : many}`;
}

const clockFormat = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});
const dayFormat = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });

/** `14:03:07` in the browser's zone. */
export function clock(atMs: number): string {
  return clockFormat.format(atMs);
}

/** The same, with the day where that is another one. */
export function moment(atMs: number, nowMs: number): string {
  const day = dayFormat.format(atMs);
  return day === dayFormat.format(nowMs) ? clock(atMs) : `${day} ${clock(atMs)}`;
}

/** Whether a frame or a path is of rom-agent's own packed files. */
export function isOurs(place: string): boolean {
  return /\/dist\/(?:chunks\/[\w-]+-[A-Z0-9]{8}|worker\/start)\.js\b/.test(place);
}

/** The innermost frame of a stack that is the app's: neither Node's nor of a package. */
export function ownFrame(stack: string | null | undefined): string | null {
  const frames = (stack ?? '').split('\n').filter((line) => /^\s*at /.test(line));
  const own = frames.find((line) => !/node:|node_modules|<anonymous>\)?$/.test(line) && !isOurs(line));
  return (own ?? frames.find((line) => !line.includes('node:')))?.trim().replace(/^at /, '') ?? null;
}
