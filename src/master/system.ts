import { readFileSync } from 'node:fs';

/** The monotonic clock, ms. */
export function now(): number {
  return Math.round(performance.now());
}

/** CLOCK_MONOTONIC, as sd_notify(3) wants it with RELOADING=1. */
export function monotonicMicros(): bigint {
  return process.hrtime.bigint() / 1000n;
}

/** Calls back once, after so many ms, unless it is called again before. */
export function oneTimer(): (after: number, callback: () => void) => void {
  let timer: NodeJS.Timeout | undefined;
  return (after, callback) => {
    clearTimeout(timer);
    timer = setTimeout(callback, after);
  };
}

/** Calls back after so many ms, unless what it returns is called. Does not keep the process alive. */
export function after(delay: number, callback: () => void): () => void {
  const timer = setTimeout(callback, delay).unref();
  return () => clearTimeout(timer);
}

/** As `after`, but reads first what has arrived by then: after a stall the event loop runs timers before input. */
export function afterReading(delay: number, callback: () => void): () => void {
  let over = false;
  const forget = after(delay, () => setImmediate(() => setImmediate(() => over || callback())));
  return () => {
    over = true;
    forget();
  };
}

/** The files of this machine, for seams. */
export const systemFiles = {
  readFile: (path: string): string => readFileSync(path, 'utf8'),
  platform: process.platform,
} as const;

/** Made when it is first needed; `used` does not make it. */
export function lazy<Value>(make: () => Value): { (): Value; used(): Value | null } {
  let value: Value | null = null;
  const get = (): Value => {
    value ??= make();
    return value;
  };
  return Object.assign(get, { used: () => value });
}
