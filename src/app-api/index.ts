import { bounds, checkJob, checkName, whole, wrong } from '../backplane/check.js';
import { EngineError, type Json, type NewJob } from '../backplane/engine.js';
import { msOf, optionalMs } from './duration.js';
import type * as Face from './face.js';
import { findOwn } from './find.js';
import { asJson } from './json.js';
import { keepExtending, startSchedule } from './schedule.js';

/*
 * What an app imports from `rom-agent`. face.ts has the types, and says what each does; it is published as the package's
 * declarations.
 */

export { EngineError as BackplaneError } from '../backplane/engine.js';

export const queue = <Data = Json>(name: string): Face.Queue<Data> => {
  checkName(name, 'queue');
  const { engine, drainable } = findOwn();
  return {
    add: async (data, options = {}) => {
      const { id, name: jobName, attempts, backoff, delay, priority } = options;
      const job: NewJob = {
        data: asJson(data, 'data'),
        ...(id === undefined ? {} : { id }),
        ...(jobName === undefined ? {} : { name: jobName }),
        ...(attempts === undefined ? {} : { attempts }),
        ...(priority === undefined ? {} : { priority }),
        ...optionalMs('backoffMs', backoff, 'options.backoff'),
        ...optionalMs('delayMs', delay, 'options.delay'),
      };
      checkJob(job, 'options');
      return engine.add(name, job);
    },
    work: (handler, { concurrency = 1 } = {}) => {
      checkFunction(handler, 'handler');
      whole(1, bounds.concurrency)(concurrency, 'options.concurrency');
      const working = engine.work(name, concurrency, async (job, signal) => {
        await handler(job as Face.Job<Data>, signal);
        return null;
      });
      return closable(working.close, drainable);
    },
    counts: () => engine.counts(name),
    failed: async (limit = 100) => {
      whole(1, bounds.failed)(limit, 'limit');
      return (await engine.failed(name, limit)) as readonly Face.FailedJob<Data>[];
    },
    retry: async (id) => {
      checkName(id, 'id');
      return engine.retry(name, id);
    },
  };
};

export const schedule: typeof Face.schedule = (name, cron, handler, options = {}) => {
  checkName(name, 'schedule');
  checkFunction(handler, 'handler');
  const { timezone, attempts = 1, backoff = 1_000 } = options;
  whole(1, bounds.attempts)(attempts, 'options.attempts');
  const { engine, drainable } = findOwn();
  const backoffMs = msOf(backoff, 'options.backoff');
  const started = startSchedule({ engine, name, cron, timezone, attempts, backoffMs, handler });
  return { next: started.next, ...closable(started.close, drainable) };
};

export const state = <Value = Json>(name: string): Face.State<Value> => {
  checkName(name, 'state');
  if (name.includes(':')) throw wrong('state', name, "a name without ':'");
  const { engine } = findOwn();
  const whole = (key: string): string => {
    checkName(key, 'key');
    return `${name}:${key}`;
  };
  const positive = (ttl: Face.Duration | undefined) => {
    const ms = optionalMs('ttlMs', ttl, 'options.ttl');
    if (ms.ttlMs === 0) throw wrong('options.ttl', ttl, 'more than 0');
    return ms;
  };
  return {
    get: async (key) => (await engine.get(whole(key)))?.value as Value | undefined,
    entry: async (key) => {
      const entry = await engine.get(whole(key));
      return entry === undefined ? undefined : { value: entry.value as Value, version: entry.version };
    },
    set: async (key, value, { ttl, ifVersion } = {}) =>
      engine.set(whole(key), asJson(value, 'value'), {
        ...positive(ttl),
        ...(ifVersion === undefined ? {} : { ifVersion }),
      }),
    update: async (key, change, { ttl } = {}) => {
      const given = positive(ttl);
      for (;;) {
        const entry = await engine.get(whole(key));
        const value = asJson(await change(entry?.value as Value | undefined), 'value');
        const kept = entry === undefined || entry.ttlMs === null ? {} : { ttlMs: Math.max(1, entry.ttlMs) };
        try {
          await engine.set(whole(key), value, { ...kept, ...given, ifVersion: entry?.version ?? 0 });
          return value as Value;
        } catch (error) {
          if (!(error instanceof EngineError) || error.code !== 'version') throw error;
        }
      }
    },
    increment: async (key, by = 1, { ttl } = {}) => {
      if (!Number.isFinite(by)) throw wrong('by', by, 'a finite number');
      return engine.increment(whole(key), by, positive(ttl));
    },
    delete: async (key) => engine.delete(whole(key)),
    ttl: async (key) => (await engine.get(whole(key)))?.ttlMs,
  };
};

/** A wait without an end is made of such, ms. */
const longestWait = 60_000;

export const lock: typeof Face.lock = (name) => {
  checkName(name, 'lock');
  const { engine } = findOwn();
  return {
    run: async (task, { ttl = 30_000, wait } = {}) => {
      checkFunction(task, 'task');
      const ttlMs = msOf(ttl, 'options.ttl');
      if (ttlMs < leastTtl) throw wrong('options.ttl', ttl, `${leastTtl} ms or more`);
      const until =
        performance.now() + (wait === undefined ? Number.POSITIVE_INFINITY : msOf(wait, 'options.wait'));
      for (;;) {
        const left = Math.max(0, Math.ceil(until - performance.now()));
        const held = await engine.acquire(name, ttlMs, Math.min(left, longestWait));
        if (held === null) {
          if (performance.now() < until) continue;
          throw new EngineError('busy', `the lock ${JSON.stringify(name)} was not free within ${wait}`);
        }
        const lost = new AbortController();
        const stop = keepExtending(held, ttlMs, (error) => lost.abort(error));
        try {
          return await task(held.token, lost.signal);
        } finally {
          stop();
          // Where that fails it runs out.
          await held.release().catch(() => {});
        }
      }
    },
  };
};

/** Shorter ones would be lost to a garbage collection, ms. */
const leastTtl = 1_000;

export const broadcast = <Message = Json>(channel: string): Face.Broadcast<Message> => {
  checkName(channel, 'channel');
  const { engine } = findOwn();
  return {
    send: async (message) => engine.publish(channel, asJson(message, 'message')),
    on: (take) => {
      checkFunction(take, 'take');
      return engine.subscribe(channel, (message) => take(message as Message));
    },
  };
};

function closable(
  close: () => Promise<void>,
  drainable: (close: () => Promise<void>) => () => void,
): { close(): Promise<void> } {
  const takeOff = drainable(close);
  return { close: () => close().finally(takeOff) };
}

function checkFunction(value: unknown, field: string): void {
  if (typeof value !== 'function') throw wrong(field, value, 'a function');
}
