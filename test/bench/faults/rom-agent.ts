import { join } from 'node:path';
import { connectControl } from '../../../src/control/client.js';
import { inside } from '../../system/systemd/boot.js';
import type { Machine } from '../../system/systemd/booted-machine.js';
import { type Service, service } from '../../system/systemd/service.js';
import { place, type Running, type Setup, type Subject, workers } from './subject.js';

/** The shipped unit with the shipped socket unit: the port stays open while nobody serves. */
export function romAgent(machine: Machine): Subject {
  return { name: 'rom-agent', start: (setup) => start(machine, setup) };
}

async function start(machine: Machine, { env = {}, settings = [] }: Setup): Promise<Running> {
  const atEnd: (() => Promise<void>)[] = [];
  const after = (hook: () => Promise<void>) => void atEnd.unshift(hook);
  const own = await service(
    machine,
    { after },
    {
      name: `faults-${++last}`,
      env: {
        ROM_AGENT_APP: `${inside.repo}/test/bench/faults/peers/app.cjs`,
        ROM_AGENT_RELOAD_SOAK: '0',
        PLACE: place,
        WORKERS: String(workers),
        ...env,
      },
      settings: [`ReadWritePaths=${place}`, ...settings],
      socket: [],
    },
  );
  const stop = async () => {
    for (const hook of atEnd.splice(0)) await hook();
  };
  try {
    await machine.must(['systemctl', 'start', own.socketUnit]);
    await own.start();
  } catch (error) {
    await stop();
    throw error;
  }
  return running(machine, own, stop);
}

let last = 0;

function running(machine: Machine, own: Service, stop: () => Promise<void>): Running {
  const control = connectControl({
    path: join(machine.root, 'run', 'rom-agent', 'control.sock'),
    timeout: 2_000,
  });
  return {
    unit: own.unit,
    port: own.port,
    cast: async () => {
      const processes = await own.processes();
      const pid = await own.master();
      const master = processes.find((one) => one.pid === pid);
      if (master === undefined) throw new Error(`${own.unit} has no master`);
      // The reaper of orphans is a child of the master too, and no worker.
      const known = new Set(await readyPids());
      return { master, workers: processes.filter((one) => known.has(one.pid)) };
    },
    ready: readyPids,
    reload: () =>
      control
        .reload({ by: 'faults', soak: false, rollback: true }, () => {})
        .then(
          () => 'done',
          () => 'refused',
        ),
    state: async () => {
      const { ActiveState, NRestarts } = await own.show('ActiveState', 'NRestarts');
      return { active: ActiveState === 'active', restarts: Number(NRestarts) };
    },
    log: async () => (await machine.journal(own.unit)).map(({ message }) => message).join('\n'),
    entries: () => own.log(),
    stop,
  };

  async function readyPids(): Promise<number[]> {
    const { workers: all } = await control.status();
    return all.flatMap(({ phase, pid }) => (phase === 'ready' && pid !== null ? [pid] : []));
  }
}
