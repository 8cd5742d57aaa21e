import { besidesHeap, heapShare, masterSize } from '../../config/resolve.js';
import { smallestHeap } from '../../config/settings.js';
import { inUnit } from '../changes.js';
import type { Facts } from '../facts.js';
import { type Check, type Outcome, ok, problem, unknown, warning } from '../finding.js';

/** Memory, CPUs and threads of the service against the workers that it has. */
export const resourceChecks: readonly Check[] = [hierarchy, memory, memoryHigh, cpus, tasks];

function hierarchy({ machine, platform }: Facts): readonly Outcome[] {
  if (platform !== 'linux') return [];
  switch (machine.hierarchy) {
    case 'v2':
      return [ok('cgroup', 'version 2')];
    case 'v1':
      return [
        ok('cgroup', 'version 1: without memory.high and stall figures, memory pressure is seen later'),
      ];
    case null:
      return [unknown('cgroup', 'none is mounted: its limits, if there are any, are not known')];
  }
}

function memory({ settings: { config }, machine, systemd }: Facts): readonly Outcome[] {
  const { maxOldSpaceSize: heap, workers, spares } = config;
  const processes = workers + spares;
  const need = masterSize + processes * sizeOfWorker(config);
  const has = `${machine.memory} MiB (${machine.memoryFrom})`;
  const sum = `${workers} workers${spares === 0 ? '' : ` and ${spares} spares`} with heaps of ${heap} MiB may take ${need} MiB`;
  if (need <= machine.memory) return [ok('memory', `${sum}, of ${has}`)];
  const share = heapShare(machine.memory, processes);
  const unit = systemd?.unit ?? null;
  const more =
    unit !== null && machine.memoryFrom.endsWith('=')
      ? `; or ${inUnit(unit.name, `${machine.memoryFrom}${need}M`)}`
      : '';
  const fewer = `fewer ${spares === 0 ? 'workers' : 'spares or workers'}`;
  if (share < smallestHeap)
    return [
      problem('memory', `${sum}, and there are ${has}: too little for heaps of any use`, `${fewer}${more}`),
    ];
  const found = `${sum}, and there are ${has}: the kernel may kill workers before V8 collects garbage`;
  return [warning('memory', found, `max_old_space_size = ${share}; or ${fewer}${more}`)];
}

function sizeOfWorker({ maxOldSpaceSize, memory: { maxRss } }: Facts['settings']['config']): number {
  const whole = maxOldSpaceSize + besidesHeap;
  return maxRss === null ? whole : Math.min(whole, maxRss);
}

/** Above memory.high the kernel slows allocations down until next to nothing runs. */
function memoryHigh({ systemd }: Facts): readonly Outcome[] {
  const unit = systemd?.unit ?? null;
  if (unit === null || !Number.isFinite(unit.memoryHigh)) return [];
  const high = `${Math.round(unit.memoryHigh / 2 ** 20)} MiB`;
  if (Number.isFinite(unit.memoryMax)) return [ok('MemoryHigh', high)];
  const found = `${high} without MemoryMax=: beyond it the service is slowed down without end, and never ended`;
  return [
    warning(
      'MemoryHigh',
      found,
      inUnit(unit.name, `MemoryMax=${Math.round((unit.memoryHigh / 2 ** 20) * 1.1)}M`),
    ),
  ];
}

function cpus({ settings: { config, effective }, machine }: Facts): readonly Outcome[] {
  const { workers } = config;
  const has = `${machine.cpus} (${machine.cpusFrom})`;
  if (workers <= machine.cpus) return [ok('CPUs', `${has} for ${workers} workers`)];
  const found = `${has} for ${workers} workers (from ${effective.workers.from}): they wait for each other`;
  return [warning('CPUs', found, 'workers = "auto"')];
}

/** Measured with Node 20 on Linux: its main thread, four of V8, four of libuv, one that delays and one for signals. */
const threadsPerProcess = 11;

/** While one is replaced there is one more. */
function tasks({ settings: { config }, machine: { tasks }, systemd, platform }: Facts): readonly Outcome[] {
  if (platform !== 'linux') return [];
  if (!Number.isFinite(tasks)) return [ok('threads', 'no limit')];
  const processes = 1 + config.workers + config.spares + 1;
  const need = processes * threadsPerProcess;
  const unit = systemd?.unit ?? null;
  const change =
    unit === null ? 'a higher pids.max of the cgroup' : inUnit(unit.name, `TasksMax=${need * 4}`);
  const sum = `${need} in ${processes} processes, of ${tasks}`;
  if (need > tasks) return [problem('threads', `${sum}: workers cannot be forked`, change)];
  if (need * 1.5 > tasks)
    return [warning('threads', `${sum}: little is left for what the app starts`, change)];
  return [ok('threads', sum)];
}
