import { setTimeout as sleep } from 'node:timers/promises';
import { exitCodes, RomAgentError } from '../../errors.js';
import { isAlive } from '../../processes.js';
import type { Hang, Kill, Memory, Scale } from '../observations.js';
import {
  atFullStrength,
  deathsSince,
  holdRequests,
  loadOf,
  patience,
  readyPids,
  type Scene,
  until,
} from '../scene.js';

/** One worker more under load, then one less. */
export async function scale(scene: Scene): Promise<Scale> {
  const { client, workers, now } = scene;
  const load = loadOf(scene);
  const began = now();
  await client.scale({ to: workers + 1 }, 'rehearse');
  const more = await atFullStrength({ ...scene, workers: workers + 1 });
  await client.scale({ to: workers }, 'rehearse');
  const fewer = await atFullStrength(scene);
  return {
    act: 'scale',
    load: await load.stop(),
    tookMs: more && fewer ? now() - began : null,
    upTo: workers + 1,
  };
}

/** kill -9 of a worker that has requests. */
export async function kill(scene: Scene): Promise<Kill> {
  const load = loadOf(scene);
  const held = await holdRequests(scene);
  const { tookMs, deaths } = await harm(scene, (pid) => void process.kill(pid, 'SIGKILL'));
  held.release(0);
  return { act: 'kill', load: await load.stop(), held: await held.result(), tookMs, deaths };
}

/** A worker stands still, as one does that spins in a loop or waits for a lock. */
export async function hang(scene: Scene, hangTimeoutMs: number): Promise<Hang> {
  const load = loadOf(scene);
  const { tookMs, deaths } = await harm(scene, (pid) => void process.kill(pid, 'SIGSTOP'));
  return { act: 'hang', load: await load.stop(), tookMs, deaths, hangTimeoutMs };
}

/** The heap of a worker fills, as at the end of a leak. */
export async function memory(scene: Scene): Promise<Memory> {
  const load = loadOf(scene);
  const { tookMs, deaths } = await harm(
    scene,
    (pid) => void scene.sandbox.order(pid, { do: 'fill' }, patience),
  );
  return { act: 'memory', load: await load.stop(), tookMs, deaths };
}

/** Does it to one worker, and waits until another one serves in its place and it is gone itself. */
async function harm(scene: Scene, act: (pid: number) => void): Promise<Pick<Kill, 'tookMs' | 'deaths'>> {
  const [victim] = await readyPids(scene);
  if (victim === undefined) throw new RomAgentError('no worker is ready', { exitCode: exitCodes.tryAgain });
  const began = scene.now();
  act(victim);
  const recovered = (await until(() => !isAlive(victim))) && (await atFullStrength(scene, victim));
  const tookMs = scene.now() - began;
  // Clients come back to the new worker.
  if (recovered) await sleep(200);
  return { tookMs: recovered ? tookMs : null, deaths: await deathsSince(scene, began) };
}
