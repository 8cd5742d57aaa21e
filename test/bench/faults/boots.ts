import { waitFor } from '../../support/wait.js';
import { kill, order, restart } from './harm.js';
import type { Scenario } from './scenario.js';

/** Starts that fail or are cut short. */
export const boots: readonly Scenario[] = [
  {
    name: 'boot-worker',
    title: 'kill -9 of a worker, two boots fail',
    dies: 'one worker',
    patience: 30_000,
    harm: async (scene) => {
      await order(scene, 'fail-boots', '2');
      await kill(scene, scene.before.workers.slice(0, 1));
    },
  },
  {
    name: 'boot-service',
    title: 'restart, the first two starts fail',
    dies: 'nobody',
    replaces: 'restart',
    patience: 40_000,
    harm: async (scene) => {
      await order(scene, 'fail-boots', '4');
      await restart(scene);
    },
  },
  {
    name: 'term-boot',
    title: 'SIGTERM in mid-boot',
    dies: 'nobody',
    replaces: 'restart',
    patience: 40_000,
    harm: async (scene) => {
      const { machine, service, before } = scene;
      await order(scene, 'slow-boot', '1500');
      await restart(scene);
      // The new master has forked its workers, and they are far from listening.
      const booting = async () => {
        const pid = await machine.mainPid(service.unit);
        const children = (await machine.pids(service.unit)).filter(({ parent }) => parent === pid);
        return pid !== before.master.pid && children.length >= 2 ? pid : 0;
      };
      const pid = await waitFor('the boot', booting, { timeout: 40_000 });
      await machine.kill(pid, 'SIGTERM');
    },
  },
];
