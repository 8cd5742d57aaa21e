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

/** Calls back after so many ms, unless what it returns is called; it keeps no process. */
export function after(delay: number, callback: () => void): () => void {
  const timer = setTimeout(callback, delay).unref();
  return () => clearTimeout(timer);
}

/** As `after`, but what had come by then is read before: after a standstill of the event loop timers are the first. */
export function afterReading(delay: number, callback: () => void): () => void {
  let over = false;
  const forget = after(delay, () => setImmediate(() => setImmediate(() => over || callback())));
  return () => {
    over = true;
    forget();
  };
}
