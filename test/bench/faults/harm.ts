import { get } from 'node:http';
import type { UnitProcess } from '../../system/systemd/booted-machine.js';
import { freeze } from './freeze.js';
import type { Scene } from './scenario.js';
import { place } from './subject.js';

export function kill(scene: Scene, targets: readonly UnitProcess[]): Promise<void> {
  return signalled(scene, targets, 'SIGKILL');
}

export function pause(scene: Scene, targets: readonly UnitProcess[]): Promise<void> {
  return signalled(scene, targets, 'SIGSTOP');
}

/** Its answer begins with the PID of who got it, who is the victim; the rest may never come. */
export function request({ service: { port }, victims }: Scene, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const outgoing = get({ host: '127.0.0.1', port, path, agent: false }, (incoming) => {
      incoming.once('data', (first: Buffer) => {
        const pid = Number(/\d+/.exec(`${first}`)?.[0]);
        victims.add(pid);
        if (pid > 0) resolve();
        else reject(new Error(`${path}: no PID in ${first}`));
      });
      incoming.on('error', () => {});
    });
    outgoing.once('error', reject).on('error', () => {});
    outgoing.setTimeout(5_000, () => reject(new Error(`${path}: no answer within 5 s`)));
  });
}

/** Writes a file that tells the app what to do: see peers/app.cjs. */
export async function order({ machine }: Scene, name: string, text: string): Promise<void> {
  await machine.writeFile(`${place}/${name}`, text, '644');
}

/** systemd restarts the unit, in its own time; everybody there is goes. */
export async function restart(scene: Scene): Promise<void> {
  const { machine, service, before, victims } = scene;
  for (const { pid } of [before.master, ...before.workers]) victims.add(pid);
  scene.begins();
  await machine.must(['systemctl', 'restart', '--no-block', service.unit]);
}

async function signalled(
  scene: Scene,
  targets: readonly UnitProcess[],
  signal: 'SIGKILL' | 'SIGSTOP',
): Promise<void> {
  for (const { pid } of targets) scene.victims.add(pid);
  scene.begins();
  await freeze(scene, targets, signal);
}
