import { setTimeout as sleep } from 'node:timers/promises';
import { ask } from '../../support/net.js';
import { signalPid } from '../../support/process.js';
import { pause, request } from './harm.js';
import type { Scenario, Scene } from './scenario.js';
import { place } from './subject.js';

const clockFile = `${place}/clock`;

/** Processes that are there and do nothing, and time that does what it should not. */
export const hangs: readonly Scenario[] = [
  {
    name: 'stop-worker',
    title: 'SIGSTOP of a worker',
    dies: 'one worker',
    patience: 25_000,
    harm: (scene) => pause(scene, scene.before.workers.slice(0, 1)),
    heal: goOn,
  },
  {
    name: 'stop-master',
    title: 'SIGSTOP of the master',
    dies: 'everybody',
    patience: 60_000,
    harm: async (scene) => {
      const { master, workers } = scene.before;
      await pause(scene, [master]);
      // Full strength is a service that is whole, so new workers.
      for (const { pid } of workers) scene.victims.add(pid);
    },
    heal: goOn,
  },
  {
    name: 'spin',
    title: 'busy loop in a request',
    dies: 'one worker',
    patience: 25_000,
    harm: (scene) => request(scene, '/spin'),
  },
  {
    name: 'sleep',
    title: 'all of the service stopped for 25 s',
    // systemd itself does not sleep here, and would miss its pings.
    setup: { settings: ['WatchdogSec=90'] },
    requestTimeout: 60_000,
    dies: 'nobody',
    patience: 15_000,
    harm: async ({ before: { master, workers }, begins }) => {
      const all = [master, ...workers];
      for (const { hostPid } of all) signalPid(hostPid, 'SIGSTOP');
      await sleep(25_000);
      begins();
      // The master first: it is to see workers that have been silent for longer than it allows.
      for (const { hostPid } of all) signalPid(hostPid, 'SIGCONT');
      await sleep(2_000);
    },
    heal: goOn,
  },
  {
    name: 'clock',
    title: 'wall clock an hour ahead, then two back',
    setup: { settings: fakedClock() },
    dies: 'nobody',
    patience: 15_000,
    harm: async (scene) => {
      await jump(scene, 1);
      await jump(scene, -1);
    },
  },
];

/** libfaketime, for the service alone; the clock that only goes forward is left as it is, as in a real jump. */
function fakedClock(): string[] {
  const variables = {
    LD_PRELOAD: '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1',
    FAKETIME_TIMESTAMP_FILE: clockFile,
    FAKETIME_CACHE_DURATION: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    DONT_FAKE_MONOTONIC: '1',
  };
  return Object.entries(variables).map(([name, value]) => `Environment=${name}=${value}`);
}

/** Longer than a worker may be silent. */
async function jump({ machine, service: { port } }: Scene, hours: number): Promise<void> {
  await machine.writeFile(clockFile, `${hours > 0 ? '+' : ''}${hours}h\n`, '644');
  await sleep(12_000);
  const { json } = await ask({ port, path: '/work?ms=0' });
  const ahead = ((json as { clock: number }).clock - Date.now()) / 3_600_000;
  if (Math.abs(ahead - hours) > 0.1) throw new Error(`the clock is ${ahead} h ahead instead of ${hours}`);
}

async function goOn({ before: { master, workers } }: Scene): Promise<void> {
  for (const { hostPid } of [master, ...workers]) signalPid(hostPid, 'SIGCONT');
}
