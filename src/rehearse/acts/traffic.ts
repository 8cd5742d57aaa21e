import { setTimeout as sleep } from 'node:timers/promises';
import { type Sample, send } from '../load.js';
import type { Looked, Traffic } from '../observations.js';
import { answerLimit, deathsSince, eventsSince, loadOf, type Scene } from '../scene.js';

/** Each path is asked for alone so many times, after the first that each worker may need to load things. */
const looks = 3;

/** What each path does alone, and all of them under load. */
export async function traffic(scene: Scene, all: readonly Sample[]): Promise<Traffic> {
  const began = scene.now();
  const paths: Looked[] = [];
  for (const sample of all) paths.push(await look(scene, sample));
  const load = loadOf(scene);
  await sleep(scene.loadMs);
  const report = await load.stop();
  return {
    act: 'load',
    paths,
    load: report,
    stalls: eventsSince(scene, { type: 'stall', at: began }),
    deaths: await deathsSince(scene, began),
    uncaught: scene.sandbox.reports().filter((report) => report.type === 'uncaught'),
  };
}

async function look({ sandbox: { target }, workers, now }: Scene, sample: Sample): Promise<Looked> {
  const ask = () => send(sample, { target, agent: false, timeout: answerLimit });
  // Which worker gets a connection is up to the kernel.
  for (let times = 0; times < 2 * workers; times++) await ask();
  const statuses: (number | null)[] = [];
  const tookMs: number[] = [];
  let failure: string | null = null;
  for (let times = 0; times < looks; times++) {
    const began = now();
    const outcome = await ask();
    tookMs.push(now() - began);
    statuses.push(outcome.kind === 'answered' ? outcome.status : null);
    if (outcome.kind !== 'answered') failure = outcome.kind === 'lost' ? outcome.why : outcome.kind;
  }
  return { sample, statuses, failure, tookMs };
}
