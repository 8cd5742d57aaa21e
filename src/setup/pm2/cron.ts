/** `OnCalendar=` values (systemd.time(7)) that together mean what a pattern of cron means; null where systemd cannot say it. */
export function calendarOf(pattern: string): readonly string[] | null {
  const spelled = nicknames[pattern.trim().toLowerCase()] ?? pattern;
  const fields = spelled.trim().split(/\s+/);
  // croner, which PM2 uses, takes seconds as a sixth field, in front.
  const [second, minute, hour, day, month, weekday] = fields.length === 5 ? ['0', ...fields] : fields;
  if (fields.length < 5 || fields.length > 6) return null;
  const time = [
    part(hour, { min: 0, max: 23 }),
    part(minute, { min: 0, max: 59 }),
    part(second, { min: 0, max: 59 }),
  ];
  const months = part(month, { min: 1, max: 12, names: monthNames });
  const days = part(day, { min: 1, max: 31 });
  const weekdays = part(weekday, { min: 0, max: 7, names: weekdayNames });
  if ([...time, months, days, weekdays].includes(null)) return null;
  const at = time.join(':');
  const onDays = `*-${months}-${days} ${at}`;
  if (weekdays === '*') return [onDays];
  const named = weekdayList(weekday ?? '');
  // Cron runs where the day of the month or the day of the week fits; one line of systemd wants both to fit.
  const onWeekdays = `${named} *-${months}-* ${at}`;
  return days === '*' ? [onWeekdays] : [onDays, onWeekdays];
}

const monthNames = 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ');
const weekdayNames = 'sun mon tue wed thu fri sat'.split(' ');

const nicknames: Readonly<Record<string, string>> = {
  '@hourly': '0 * * * *',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@weekly': '0 0 * * 0',
  '@monthly': '0 0 1 * *',
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
};

interface Field {
  readonly min: number;
  readonly max: number;
  /** Words for numbers, the first for `min`. */
  readonly names?: readonly string[];
}

/** One field of cron as systemd writes it; null where it is not understood. */
function part(text: string | undefined, field: Field): string | null {
  if (text === undefined) return null;
  if (text === '*' || text === '?') return '*';
  const numbers = valuesOf(text, field);
  return numbers === null ? null : numbers.join(',');
}

/** All values that a field stands for, in order. */
function valuesOf(text: string, { min, max, names = [] }: Field): readonly number[] | null {
  const found = new Set<number>();
  for (const item of text.toLowerCase().split(',')) {
    const [, range = '', step] = /^([^/]+)(?:\/(\d+))?$/.exec(item) ?? [];
    const [from, to] = boundsOf(range);
    if (from === null || to === null || from < min || to > max || from > to) return null;
    const by = Number(step ?? 1);
    if (by < 1) return null;
    for (let value = from; value <= to; value += by) found.add(value);
    function boundsOf(span: string): readonly [number | null, number | null] {
      if (span === '*' || span === '?') return [min, max];
      const [first = '', last] = span.split('-');
      // `5/10` is from 5 on.
      if (last === undefined) return [numberOf(first), step === undefined ? numberOf(first) : max];
      return [numberOf(first), numberOf(last)];
    }
  }
  return [...found].sort((one, other) => one - other);

  function numberOf(word: string): number | null {
    if (/^\d{1,2}$/.test(word)) return Number(word);
    const at = names.indexOf(word.slice(0, 3));
    return at === -1 ? null : at + min;
  }
}

/** 0 and 7 are Sunday. */
function weekdayList(text: string): string {
  const numbers = valuesOf(text, { min: 0, max: 7, names: weekdayNames }) ?? [];
  const days = [...new Set(numbers.map((number) => number % 7))].map((day) => weekdayNames[day] ?? '');
  return days.map((day) => day.charAt(0).toUpperCase() + day.slice(1)).join(',');
}
