import { allWait } from '../../protocol/wait-status.js';
import type { Ran } from '../world.js';
import type { Pm2Client } from './running.js';

/** One app on its way from PM2 to its service, or back. */
export interface Passage {
  /** In PM2. */
  readonly app: string;
  /** `rom-agent@shop.service`, and before it the socket, if there is one. */
  readonly units: readonly string[];
  /** Of a `cron_restart`; null: there is none. */
  readonly timer: string | null;
  /** TCP ports that the one has to give up for the other. */
  readonly ports: readonly number[];
  /** Whether the app may run twice for a moment: in PM2, and in its service. */
  readonly beside: boolean;
}

export interface PassageSeam {
  /** null: PM2 does not run, and has nothing to stop. */
  readonly pm2: Pick<Pm2Client, 'stop' | 'start'> | null;
  readonly systemctl: (...args: string[]) => Promise<Ran>;
  /** Ends the connections that PM2's daemon holds and nobody will answer. Resolves to how many it could not end. */
  readonly endLeftBehind: (ports: readonly number[]) => Promise<number>;
  /** STATUS= of a unit: sd_notify(3). */
  readonly statusOf: (unit: string) => Promise<string>;
  /** Whether the next start of the service waits for a port that another process has. */
  readonly allowWait: (unit: string, allowed: boolean) => Promise<void>;
  /** The sockets that listen on the port, by inode; empty: none does; null: this platform does not say. */
  readonly listeners: (port: number) => string | null;
  readonly sleep: (ms: number) => Promise<void>;
  /** ms */
  readonly clock: () => number;
}

export type Passed =
  /**
   * `gap`: ms from the moment that the ports were free until the other one had them; null without a port.
   * `left`: connections in PM2's daemon whose clients wait in vain.
   */
  | { readonly ok: true; readonly gap: number | null; readonly left: number }
  /** `back`: whether the one that served before serves again. */
  | { readonly ok: false; readonly why: string; readonly back: boolean };

/**
 * Replaces PM2 by the service. Where the app has ports the service boots beside PM2 and waits for them (`listen_wait`), so
 * that only milliseconds pass between the one and the other. Otherwise PM2 stops the app first, and the service starts as
 * soon as the ports are free, which is before PM2 says that it has stopped everything: a socket unit cannot wait for a port.
 * Where the service does not come up, PM2 starts the app again.
 */
export async function takeOver(passage: Passage, seam: PassageSeam): Promise<Passed> {
  const { units, ports, beside } = passage;
  // What takes time comes before the gap.
  const enabled = await seam.systemctl('enable', ...units);
  if (!enabled.ok) return { ok: false, why: enabled.output, back: true };
  const [unit] = units;
  const isHeld = ports.some((port) => (seam.listeners(port) ?? '') !== '');
  if (!beside || !isHeld || unit === undefined || units.length > 1) return stopThenStart(passage, seam);
  await seam.allowWait(unit, true);
  try {
    return await bootThenStop(passage, { unit, seam });
  } finally {
    await seam.allowWait(unit, false);
  }
}

/** PM2 is stopped when all that the service lacks is the port. Nothing was stopped where it does not get that far. */
async function bootThenStop(
  passage: Passage,
  { unit, seam }: { readonly unit: string; readonly seam: PassageSeam },
): Promise<Passed> {
  const { units, ports } = passage;
  const { systemctl } = seam;
  const starting = systemctl('start', unit);
  const failure = await untilWaiting(starting, { unit, seam });
  if (failure !== null) {
    await systemctl('disable', '--now', ...units);
    return { ok: false, why: failure, back: true };
  }
  const before = ports.map((port) => seam.listeners(port));
  const stopped = attempt(seam.pm2?.stop(passage.app) ?? Promise.resolve());
  const freeAt = await whenFree({ ports, stopped, seam });
  const left = seam.endLeftBehind(ports);
  const isTaken = (port: number, at: number): boolean => {
    const now = seam.listeners(port);
    return now === null || before[at] === '' || (now !== '' && now !== before[at]);
  };
  let started: Ran | null = null;
  void starting.then((ran) => {
    started = ran;
  });
  while (started === null && !ports.every(isTaken)) await seam.sleep(interval);
  const takenAt = seam.clock();
  const gap = freeAt === null ? null : takenAt - freeAt;
  return settle(passage, { seam, started: await starting, stopped, gap, left: await left });
}

/** Resolves once the service waits for its port, or serves already: to null; else to why it does not start. */
async function untilWaiting(
  starting: Promise<Ran>,
  { unit, seam }: { readonly unit: string; readonly seam: PassageSeam },
): Promise<string | null> {
  let ended: Ran | null = null;
  const settled = starting.then((ran) => {
    ended = ran;
    return ran;
  });
  while (ended === null && !allWait(await seam.statusOf(unit)))
    await Promise.race([settled, seam.sleep(statusInterval)]);
  const ran = ended as Ran | null;
  return ran === null || ran.ok ? null : ran.output;
}

async function stopThenStart(passage: Passage, seam: PassageSeam): Promise<Passed> {
  const { app, units, ports } = passage;
  const stopped = attempt(seam.pm2?.stop(app) ?? Promise.resolve());
  const freeAt = await whenFree({ ports, stopped, seam });
  const starting = startEach(units, seam.systemctl);
  const left = await seam.endLeftBehind(ports);
  const starts = await starting;
  const started = starts.find(({ ok }) => !ok) ?? { ok: true, output: '' };
  const gap = freeAt === null ? null : seam.clock() - freeAt;
  return settle(passage, { seam, started, stopped, gap, left });
}

async function settle(
  { app, units, timer }: Passage,
  { seam, started, stopped, gap, left }: Outcome,
): Promise<Passed> {
  const { pm2, systemctl } = seam;
  if (started.ok) {
    if (timer !== null) await systemctl('enable', '--now', timer);
    const error = await stopped;
    return error === null ? { ok: true, gap, left } : { ok: false, why: error, back: false };
  }
  await stopped;
  await systemctl('disable', '--now', ...units);
  const error = pm2 === null ? 'PM2 does not run' : await attempt(pm2.start(app));
  return {
    ok: false,
    why: error === null ? started.output : `${started.output}; and PM2 did not start it again: ${error}`,
    back: error === null,
  };
}

interface Outcome extends Pick<Extract<Passed, { ok: true }>, 'gap' | 'left'> {
  readonly seam: PassageSeam;
  readonly started: Ran;
  /** Why PM2 did not stop it; null where it did. */
  readonly stopped: Promise<string | null>;
}

/** The way back: the service ends, draining, and PM2 starts the app as soon as the ports are free. */
export async function giveBack({ app, units, timer, ports }: Passage, seam: PassageSeam): Promise<Passed> {
  const { pm2, systemctl } = seam;
  if (pm2 === null) return { ok: false, why: 'PM2 does not run: pm2 resurrect starts it', back: true };
  if (timer !== null) await systemctl('disable', '--now', timer);
  const stopped = systemctl('stop', ...units).then(({ ok, output }) => (ok ? null : output));
  const freeAt = await whenFree({ ports, stopped, seam });
  const error = await attempt(pm2.start(app));
  const gap = freeAt === null ? null : seam.clock() - freeAt;
  await stopped;
  if (error !== null) {
    const again = await systemctl('start', ...units);
    return { ok: false, why: error, back: again.ok };
  }
  await systemctl('disable', ...units);
  return { ok: true, gap, left: 0 };
}

/** The socket first and by itself: from then on connections wait instead of being refused. */
async function startEach(
  units: readonly string[],
  systemctl: PassageSeam['systemctl'],
): Promise<readonly Ran[]> {
  const starts: Ran[] = [];
  for (const unit of units) starts.push(await systemctl('start', unit));
  return starts;
}

/** When all ports are free, or whoever had them has ended. Resolves to that time; null where there are no ports. */
async function whenFree({
  ports,
  stopped,
  seam: { listeners, sleep, clock },
}: {
  readonly ports: readonly number[];
  readonly stopped: Promise<unknown>;
  readonly seam: PassageSeam;
}): Promise<number | null> {
  const before = new Map(ports.map((port) => [port, listeners(port) ?? '']));
  const watched = ports.filter((port) => before.get(port) !== '');
  let over = false;
  void stopped.then(() => {
    over = true;
  });
  if (watched.length === 0) await stopped;
  while (!over && watched.some((port) => listeners(port) === before.get(port))) await sleep(interval);
  return ports.length === 0 ? null : clock();
}

/** ms between two looks at the ports */
const interval = 5;
/** ms between two looks at the status of a service that starts */
const statusInterval = 50;

/** Why it failed; null where it did not. */
async function attempt(act: Promise<void>): Promise<string | null> {
  try {
    await act;
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
