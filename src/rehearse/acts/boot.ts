import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Boot } from '../observations.js';
import { type BootShare, profileFile } from '../reports.js';
import { atFullStrength, readyPids, type Scene } from '../scene.js';
import { slowBoot } from '../verdicts/life.js';

/** How long a worker takes until it serves; where that is long, what for. */
export async function boot(
  scene: Scene,
  { configuredWorkers, machineFactor }: Pick<Boot, 'configuredWorkers' | 'machineFactor'>,
): Promise<Boot> {
  const bootMs = await fastest(scene);
  const isSlow = bootMs !== null && bootMs > slowBoot * machineFactor;
  const shares = isSlow ? await sharesOfBoot(scene) : [];
  return { act: 'boot', bootMs, output: [], shares, machineFactor, configuredWorkers };
}

/** The one that had the most of the machine. */
async function fastest({ client }: Scene): Promise<number | null> {
  const { lines } = await client.why({});
  const times = lines.flatMap(({ kind, worker, at }) => {
    if (kind !== 'ready' || worker === null) return [];
    const started = lines.find((line) => line.kind === 'started' && line.worker === worker);
    return started === undefined ? [] : [Date.parse(at) - Date.parse(started.at)];
  });
  return times.length === 0 ? null : Math.min(...times);
}

/** Has one worker replaced by one that notes what its boot takes. */
async function sharesOfBoot(scene: Scene): Promise<readonly BootShare[]> {
  const { client, sandbox } = scene;
  const mark = join(sandbox.folder, profileFile);
  const before = new Set(await readyPids(scene));
  const [old = 0] = before;
  writeFileSync(mark, '');
  await client.restart(1, 'rehearse');
  await atFullStrength(scene, old);
  rmSync(mark);
  const fresh = (await readyPids(scene)).find((pid) => !before.has(pid));
  if (fresh === undefined) return [];
  return ((await sandbox.order(fresh, { do: 'boot' })) ?? []) as readonly BootShare[];
}
