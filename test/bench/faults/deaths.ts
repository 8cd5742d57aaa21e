import { waitFor } from '../../support/wait.js';
import { kill, request } from './harm.js';
import type { Scenario } from './scenario.js';

/** Processes that die, at once or after a while. */
export const deaths: readonly Scenario[] = [
  {
    name: 'kill-worker',
    title: 'kill -9 of a worker',
    dies: 'one worker',
    patience: 15_000,
    harm: (scene) => kill(scene, scene.before.workers.slice(0, 1)),
  },
  {
    name: 'kill-workers',
    title: 'kill -9 of all workers',
    dies: 'the workers',
    patience: 15_000,
    harm: (scene) => kill(scene, scene.before.workers),
  },
  {
    name: 'kill-master',
    title: 'kill -9 of the master',
    dies: 'everybody',
    patience: 30_000,
    harm: async (scene) => {
      const { master, workers } = scene.before;
      for (const { pid } of workers) scene.victims.add(pid);
      await kill(scene, [master]);
    },
  },
  {
    name: 'reject',
    title: 'unhandled rejection',
    dies: 'one worker',
    patience: 15_000,
    harm: (scene) => request(scene, '/reject'),
  },
  {
    name: 'oom',
    title: 'out of memory, faster than anybody looks',
    setup: { settings: ['MemoryMax=400M'] },
    // The kernel may have chosen a second one before the first has given its memory back.
    dies: 'the workers',
    patience: 20_000,
    harm: (scene) => request(scene, '/eat'),
  },
  {
    name: 'leak',
    title: 'a leak of 8 MiB a second',
    setup: { settings: ['MemoryMax=400M'] },
    dies: 'one worker',
    patience: 20_000,
    harm: async (scene) => {
      const { service, victims } = scene;
      await request(scene, '/leak?mib=8');
      const victim = [...victims];
      const over = async () => {
        const ready = await service.ready();
        if (victim.some((pid) => !ready.includes(pid))) return true;
        scene.begins();
        return false;
      };
      await waitFor('the end of the leak', over, { timeout: 90_000, interval: 100 });
    },
  },
];
