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
}

export interface PassageSeam {
  /** null: PM2 does not run, and has nothing to stop. */
  readonly pm2: Pick<Pm2Client, 'stop' | 'start'> | null;
  readonly systemctl: (...args: string[]) => Promise<Ran>;
  /** Ends the connections that PM2's daemon holds and nobody will answer. Resolves to how many it could not end. */
  readonly endLeftBehind: (ports: readonly number[]) => Promise<number>;
  /** Whether somebody listens on the port; null: this platform does not say. */
  readonly isTaken: (port: number) => boolean | null;
  readonly sleep: (ms: number) => Promise<void>;
  /** ms */
  readonly clock: () => number;
}

export type Passed =
  /**
   * `gap`: ms from the moment that the ports were free until the other one served; null without a port.
   * `left`: connections in PM2's daemon whose clients wait in vain.
   */
  | { readonly ok: true; readonly gap: number | null; readonly left: number }
  /** `back`: whether the one that served before serves again. */
  | { readonly ok: false; readonly why: string; readonly back: boolean };

/**
 * Stops an app in PM2 and starts its service as soon as the ports are free, which is before PM2 says that it has stopped
 * everything. Where the service does not come up, PM2 starts the app again.
 */
export async function takeOver({ app, units, timer, ports }: Passage, seam: PassageSeam): Promise<Passed> {
  const { pm2, systemctl } = seam;
  // What takes time comes before the gap.
  const enabled = await systemctl('enable', ...units);
  if (!enabled.ok) return { ok: false, why: enabled.output, back: true };
  const stopped = attempt(pm2?.stop(app) ?? Promise.resolve());
  const freeAt = await whenFree({ ports, stopped, seam });
  const starting = startEach(units, systemctl);
  const left = await seam.endLeftBehind(ports);
  const failure = (await starting).find(({ ok }) => !ok);
  if (failure === undefined) {
    const gap = freeAt === null ? null : seam.clock() - freeAt;
    if (timer !== null) await systemctl('enable', '--now', timer);
    const error = await stopped;
    return error === null ? { ok: true, gap, left } : { ok: false, why: error, back: false };
  }
  await stopped;
  await systemctl('disable', '--now', ...units);
  const error = pm2 === null ? 'PM2 does not run' : await attempt(pm2.start(app));
  return {
    ok: false,
    why: error === null ? failure.output : `${failure.output}; and PM2 did not start it again: ${error}`,
    back: error === null,
  };
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
  seam: { isTaken, sleep, clock },
}: {
  readonly ports: readonly number[];
  readonly stopped: Promise<unknown>;
  readonly seam: PassageSeam;
}): Promise<number | null> {
  const watched = ports.filter((port) => isTaken(port) === true);
  let over = false;
  void stopped.then(() => {
    over = true;
  });
  if (watched.length === 0) await stopped;
  while (!over && watched.some((port) => isTaken(port) === true)) await sleep(interval);
  return ports.length === 0 ? null : clock();
}

/** ms between two looks at the ports */
const interval = 5;

/** Why it failed; null where it did not. */
async function attempt(act: Promise<void>): Promise<string | null> {
  try {
    await act;
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
