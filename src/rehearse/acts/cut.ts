import { type Sample, send } from '../load.js';
import type { Cut, CutPath, Skipped } from '../observations.js';
import type { DependencyProxy } from '../proxy.js';
import { deathsSince, patience, type Scene, until } from '../scene.js';

/** An answer that takes longer while the dependency is silent is one that a client would not wait for, ms. */
const longestWait = 10_000;

/** What the app depends on stops to answer, without a word, and comes back. */
export async function cut(scene: Scene, proxy: DependencyProxy | null): Promise<Cut | Skipped> {
  if (proxy === null)
    return { act: 'cut', skipped: 'no --cut names the variable with the URL of a database' };
  const began = scene.now();
  proxy.silence();
  const paths = await Promise.all(scene.samples.map((sample) => ask(scene, sample)));
  proxy.resume();
  const back = scene.now();
  const recovered = await until(async () => {
    const answers = await Promise.all(scene.samples.map((sample) => ask(scene, sample)));
    return answers.every(({ status }) => status !== null && status < 500);
  }, patience);
  return {
    act: 'cut',
    variable: proxy.variable,
    connections: proxy.connections(),
    paths,
    deaths: await deathsSince(scene, began),
    recoveredMs: recovered ? scene.now() - back : null,
  };
}

async function ask({ sandbox: { target }, now }: Scene, sample: Sample): Promise<CutPath> {
  const began = now();
  const outcome = await send(sample, { target, agent: false, timeout: longestWait });
  const status = outcome.kind === 'answered' ? outcome.status : null;
  return { sample, status, tookMs: now() - began };
}
