/** Times of day, minutes since midnight, and a time zone; null: that of the machine. */
export interface Window {
  readonly from: number;
  readonly to: number;
  readonly zone: string | null;
}

/** `02:00-05:00 America/Sao_Paulo`, as the setting has it; null where it is none. */
export function parseWindow(text: string): Window | null {
  const [, fromHour, fromMinute, toHour, toMinute, zone = null] =
    /^(\d\d):(\d\d)-(\d\d):(\d\d)(?: (.+))?$/.exec(text) ?? [];
  if (fromHour === undefined || !isZone(zone)) return null;
  const minutes = (hour?: string, minute?: string) => Number(hour) * 60 + Number(minute);
  return { from: minutes(fromHour, fromMinute), to: minutes(toHour, toMinute), zone };
}

/** Whether the time of day is in the window, its end excluded. One that ends before it begins goes over midnight. */
export function isWithin({ from, to, zone }: Window, atMs: number): boolean {
  const parts = new Intl.DateTimeFormat('en-GB', {
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
    ...(zone === null ? {} : { timeZone: zone }),
  }).formatToParts(atMs);
  const part = (type: string) => Number(parts.find((each) => each.type === type)?.value);
  const now = part('hour') * 60 + part('minute');
  return from <= to ? now >= from && now < to : now >= from || now < to;
}

/** Whether this Node knows the time zone. */
function isZone(zone: string | null): boolean {
  try {
    if (zone !== null) new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}
