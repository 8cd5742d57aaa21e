import { kill } from '../../processes.js';
import { send } from '../load.js';
import type { Sigterm, Skipped } from '../observations.js';
import { freePort } from '../sandbox.js';
import { handlersOf, holdMs, holdRequests, type Scene, until } from '../scene.js';

/** As `docker stop` and PM2 have it, and longer than PM2's, ms. */
const usualLimit = 10_000;

/**
 * The app's own end, without a daemon: as under `docker stop`, Kubernetes or PM2, SIGTERM reaches the app while requests
 * are in flight. Under rom-agent its handlers are called once they are answered.
 */
export async function sigterm(
  { sandbox, samples, now }: Pick<Scene, 'sandbox' | 'samples' | 'now'>,
  { bootLimit, machineFactor }: { readonly bootLimit: number; readonly machineFactor: number },
): Promise<Sigterm | Skipped> {
  const under = handlersOf(sandbox);
  if (under.length === 0)
    return skipped(
      'the app has no handler for SIGTERM: without a daemon, it ends at once with what is in flight',
    );
  const limitMs = usualLimit * machineFactor;
  const port = await freePort(sandbox.target.host);
  const target = { ...sandbox.target, port };
  const app = sandbox.startAlone(port);
  const ask = () =>
    send(samples[0] ?? { method: 'GET', path: '/' }, { target, agent: false, timeout: 5_000 });
  const serves = await until(
    async () => app.ended() !== null || (await ask()).kind === 'answered',
    bootLimit,
  );
  if (!serves || app.ended() !== null) {
    kill(app.pid);
    return skipped(
      'node alone does not serve this app: it leaves listening to rom-agent, or needs more than PORT',
    );
  }
  const held = await holdRequests({ sandbox, samples }, target);
  const began = now();
  process.kill(app.pid, 'SIGTERM');
  held.release(holdMs);
  const result = await held.result();
  await until(() => app.ended() !== null, limitMs);
  const tookMs = now() - began;
  const exit = app.ended();
  if (exit === null) kill(app.pid);
  await app.exit;
  return {
    act: 'sigterm',
    held: result,
    handlers: handlersOf(sandbox, (pid) => pid === app.pid),
    endings: sandbox
      .reports()
      .flatMap((report) =>
        report.pid === app.pid && (report.type === 'exit' || report.type === 'cut') && report.at !== null
          ? [report]
          : [],
      ),
    exit,
    tookMs,
    limitMs,
  };
}

function skipped(reason: string): Skipped {
  return { act: 'sigterm', skipped: reason };
}
