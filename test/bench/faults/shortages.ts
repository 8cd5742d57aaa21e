import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { kill } from './harm.js';
import type { Scenario, Scene } from './scenario.js';
import { place } from './subject.js';

const logs = `${place}/logs`;
const descriptors = 256;
/** How long the shortage lasts, ms. */
const lasts = 6_000;

const talkative = { LOG_LEVEL: 'debug', ROM_AGENT_LOG_STATS_INTERVAL: '1s' };
/** Else the journal would suppress what the daemon says together with what the app says. */
const unlimited = ['LogRateLimitIntervalSec=0'];

/** Something has run out. */
export const shortages: readonly Scenario[] = [
  {
    name: 'descriptors',
    title: `${3 * descriptors} idle connections, LimitNOFILE=${descriptors}`,
    setup: { settings: [`LimitNOFILE=${descriptors}`] },
    dies: 'nobody',
    patience: 20_000,
    harm: async (scene) => {
      const idle = Array.from({ length: 3 * descriptors }, () => idleConnection(scene.service.port));
      await sleep(lasts);
      for (const socket of idle) socket.destroy();
      scene.begins();
    },
  },
  {
    name: 'log-disk',
    title: 'log disk full, and kill -9 of a worker',
    setup: { env: { ...talkative, LOG_DIR: logs }, settings: unlimited },
    prepare: async (machine) => {
      await machine.must(['mkdir', logs]);
      await machine.must(['mount', '-t', 'tmpfs', '-o', 'size=1m,mode=1777', 'tmpfs', logs]);
      await machine.run(['dd', 'if=/dev/zero', `of=${logs}/filler`, 'bs=4k']);
    },
    path: '/work?ms=10&log=100',
    dies: 'one worker',
    patience: 15_000,
    harm: async (scene) => {
      await kill(scene, scene.before.workers.slice(0, 1));
      await sleep(lasts);
    },
  },
  {
    name: 'log-reader',
    title: 'journald stopped, and kill -9 of a worker',
    setup: { env: talkative, settings: unlimited },
    path: '/work?ms=10&log=400',
    dies: 'one worker',
    patience: 15_000,
    // It writes to files itself.
    withoutPm2: true,
    harm: async (scene) => {
      await journald(scene, 'STOP');
      await sleep(lasts);
      await kill(scene, scene.before.workers.slice(0, 1));
      await sleep(lasts);
    },
    heal: (scene) => journald(scene, 'CONT'),
  },
];

function idleConnection(port: number): Socket {
  return connect({ host: '127.0.0.1', port }).on('error', () => {});
}

/** systemctl would ask systemd, which may wait for the journal itself. */
async function journald({ machine }: Scene, signal: 'STOP' | 'CONT'): Promise<void> {
  await machine.must(['pkill', `-${signal}`, '-x', 'systemd-journal']);
}
