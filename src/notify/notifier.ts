import { readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { NotifyResult } from '../protocol/control-api.js';
import type { Millis } from '../protocol/limits.js';
import type { Config } from '../settings/config.js';
import type { Failure, Payload, Target } from './deliver.js';
import {
  decide,
  initialState,
  mostAttempts,
  type News,
  type Observation,
  retryDelay,
  type Told,
} from './policy.js';

/** Tells somebody, in its own time: nothing in the master waits for it. */
export interface Notifier {
  /** Whether there is anybody to tell. */
  isOn(): boolean;
  observe(seen: Observation): void;
  /** Tells everybody once, without a second attempt, and says what came of it; null: there is nobody. */
  test(by: string): Promise<readonly NotifyResult[] | null>;
  /** Resolves once all is told, or after so long; what waits for another attempt gets it now. */
  end(limit: Millis): Promise<void>;
}

export interface NotifierSeam {
  /** As of the last reload. */
  readonly settings: () => Config['notify'];
  readonly service: string;
  readonly host: string;
  /** Where is kept when what was told. */
  readonly stateDir: string;
  readonly makeDirectory: (path: string) => Promise<void>;
  /** Wall clock, ms since 1970. */
  readonly clock: () => number;
  readonly random: () => number;
  /** Calls back after so many ms, without keeping the process; returns what prevents it. */
  readonly after: (delay: Millis, call: () => void) => () => void;
  readonly onTold: (message: string, fields: Readonly<Record<string, unknown>>) => void;
  readonly onProblem: (message: string, fields: Readonly<Record<string, unknown>>) => void;
  /** Loaded with the first news. */
  readonly targets?: (settings: Config['notify']) => Promise<readonly Target[]>;
}

/** What is on its way to one target. */
interface Delivery {
  readonly target: Target;
  readonly payload: Payload;
}

const fileName = 'notified.json';
/** While so many are on their way, further news is dropped, and the log says so. */
const mostUnderWay = 20;

export function createNotifier(seam: NotifierSeam): Notifier {
  const { settings, service, host, clock, random, after, onTold, onProblem, makeDirectory } = seam;
  const file = join(seam.stateDir, fileName);
  const targets = seam.targets ?? loadedTargets;
  const ending = new AbortController();
  const underWay = new Set<Promise<void>>();
  const hurry = new Set<() => void>();
  let state = initialState();
  let isEnding = false;
  let saving: Promise<void> = Promise.resolve();
  // Read when there is something to decide for the first time; until then it waits.
  let waiting: Observation[] | null = [];

  const isOn = (): boolean => {
    const { command, webhook, webhookFile } = settings();
    return command.length > 0 || webhook !== null || webhookFile !== null;
  };
  const payloadOf = (news: News): Payload => ({
    version: 1,
    type: news.type,
    text: `${service} on ${host}: ${news.message}`,
    service,
    host,
    atMs: clock(),
    message: news.message,
    cause: news.cause,
    details: news.details,
    untold: news.untold,
  });
  const pause = (delay: Millis): Promise<void> =>
    new Promise((resolve) => {
      const go = (): void => {
        forget();
        hurry.delete(go);
        resolve();
      };
      const forget = after(delay, go);
      if (isEnding) go();
      else hurry.add(go);
    });
  const deliver = async ({ target, payload }: Delivery): Promise<void> => {
    const { type } = payload;
    for (let failures = 0; ; ) {
      const wasEnding = isEnding;
      try {
        await target.deliver(payload, ending.signal);
        return onTold(`told ${target.name}: ${payload.message}`, { notification: type });
      } catch (error) {
        failures += 1;
        const { message, isLasting } = error as Failure;
        // While the service ends there is one attempt more.
        const isLast = isLasting || failures >= mostAttempts || wasEnding || ending.signal.aborted;
        const delay = isLast ? null : retryDelay(failures, random());
        const what = isLast ? 'giving up' : 'trying again';
        onProblem(`${target.name} was not told: ${message}; ${what}`, {
          notification: type,
          attempts: failures,
          ...(delay === null ? {} : { retryInMs: delay }),
        });
        if (delay === null) return;
        await pause(delay);
      }
    }
  };
  const track = (work: Promise<void>): void => {
    const tracked = work.finally(() => underWay.delete(tracked));
    underWay.add(tracked);
  };
  const send = async (payload: Payload): Promise<void> => {
    const all = await targets(settings());
    await Promise.all(all.map((target) => deliver({ target, payload })));
  };
  const consider = (seen: Observation): void => {
    const { interval, unhealthyAfter } = settings();
    const before = state.told;
    const [next, news] = decide(state, seen, { now: clock(), rules: { interval, unhealthyAfter } });
    state = next;
    if (next.told !== before) saving = saving.then(() => save(file, state.told, makeDirectory));
    if (news === null) return;
    if (underWay.size >= mostUnderWay) {
      return onProblem('too many notifications wait: dropped one', { notification: news.type });
    }
    track(send(payloadOf(news)).catch((error: unknown) => onProblem('cannot notify', { error })));
  };
  return {
    isOn,
    observe: (seen) => {
      if (!isOn()) return;
      if (waiting === null) return consider(seen);
      waiting.push(seen);
      if (waiting.length > 1) return;
      const begin = (told: Told): void => {
        state = { ...state, told };
        const early = waiting ?? [];
        waiting = null;
        for (const each of early) consider(each);
      };
      track(read(file).then(begin));
    },
    test: async (by) => {
      if (!isOn()) return null;
      const message = `a test by ${by}`;
      const payload = payloadOf({
        type: 'test',
        message,
        cause: `asked for by ${by}`,
        details: {},
        untold: 0,
      });
      return Promise.all((await targets(settings())).map((target) => attempt({ target, payload })));
    },
    end: async (limit) => {
      isEnding = true;
      for (const go of [...hurry]) go();
      if (underWay.size === 0) return saving;
      await Promise.race([settled(underWay), new Promise<void>((resolve) => after(limit, resolve))]);
      ending.abort();
      await Promise.race([saving, new Promise<void>((resolve) => after(limit, resolve))]);
    },
  };

  async function attempt({ target, payload }: Delivery): Promise<NotifyResult> {
    const begun = performance.now();
    const failure = await target.deliver(payload, ending.signal).then(
      () => null,
      (error: unknown) => (error as Error).message,
    );
    return { target: target.name, failure, tookMs: Math.round(performance.now() - begun) };
  }
}

/** What is under way, and what that begins. */
async function settled(underWay: ReadonlySet<Promise<void>>): Promise<void> {
  while (underWay.size > 0) await Promise.allSettled([...underWay]);
}

async function loadedTargets(settings: Config['notify']): Promise<readonly Target[]> {
  return (await import('./deliver.js')).targetsOf(settings);
}

/** Without it everything is told as if for the first time. */
async function read(file: string): Promise<Told> {
  try {
    const told: unknown = JSON.parse(await readFile(file, 'utf8'));
    return typeof told === 'object' && told !== null && Object.values(told).every(isEntry)
      ? (told as Told)
      : {};
  } catch {
    return {};
  }
}

function isEntry(value: unknown): boolean {
  const { atMs, untold } = (value ?? {}) as Record<string, unknown>;
  return Number.isFinite(atMs) && Number.isFinite(untold);
}

/** Where it cannot be written, the interval holds as long as this process. */
async function save(file: string, told: Told, makeDirectory: NotifierSeam['makeDirectory']): Promise<void> {
  try {
    await makeDirectory(dirname(file));
    await writeFile(`${file}.new`, `${JSON.stringify(told)}\n`, { mode: 0o640 });
    await rename(`${file}.new`, file);
  } catch {}
}
