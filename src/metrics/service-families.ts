import type { MetricsSnapshot, WorkerSnapshot } from '../protocol/metrics.js';
import { type Family, one, type Sample } from './family.js';

/** What the master knows of the service, and of the kernel. */
export const serviceFamilies: readonly Family[] = [
  {
    name: 'rom_agent_build_info',
    type: 'gauge',
    help: 'Always 1, with the versions of rom-agent and Node, the mode and the kind of the service.',
    labels: ['version', 'node', 'mode', 'kind'],
    samples: ({ master, mode, kind }) => [{ labels: [master.version, master.node, mode, kind], value: 1 }],
  },
  {
    name: 'rom_agent_start_time_seconds',
    type: 'gauge',
    help: 'When the master started, in seconds since 1970.',
    labels: [],
    samples: ({ master }) => one(master.startedAtSeconds),
  },
  {
    name: 'rom_agent_status',
    type: 'gauge',
    help: 'The status of the service: 1 for the one that it has.',
    labels: ['status'],
    samples: ({ status }) => oneOf(['starting', 'serving', 'stopping'], status),
  },
  {
    name: 'rom_agent_generation',
    type: 'gauge',
    help: 'The generation that serves: the number of reloads that went well since the master started, plus 1.',
    labels: [],
    samples: ({ generation }) => one(generation),
  },
  {
    name: 'rom_agent_workers_wanted',
    type: 'gauge',
    help: 'How many workers are to serve.',
    labels: [],
    samples: ({ wanted }) => one(wanted),
  },
  {
    name: 'rom_agent_workers_ready',
    type: 'gauge',
    help: 'How many of the wanted workers serve.',
    labels: [],
    samples: ({ ready }) => one(ready),
  },
  {
    name: 'rom_agent_workers_min',
    type: 'gauge',
    help: 'The smallest number of workers that the load may lead to; only where `workers` is a range, as the next three.',
    labels: [],
    samples: ({ autoscale }) => one(autoscale?.min ?? null),
  },
  {
    name: 'rom_agent_workers_max',
    type: 'gauge',
    help: 'The largest number of workers that the load may lead to.',
    labels: [],
    samples: ({ autoscale }) => one(autoscale?.max ?? null),
  },
  {
    name: 'rom_agent_workers_held',
    type: 'gauge',
    help: '1 while an operator holds the number of workers, and it does not follow the load.',
    labels: [],
    samples: ({ autoscale }) => one(autoscale === undefined ? null : Number(autoscale.held)),
  },
  {
    name: 'rom_agent_autoscale_changes_total',
    type: 'counter',
    help: 'How often the load changed the number of workers since the master started, by direction.',
    labels: ['direction'],
    samples: ({ autoscale }) => (autoscale === undefined ? [] : each(autoscale.changes)),
  },
  {
    name: 'rom_agent_workers',
    type: 'gauge',
    help: 'Worker processes by their phase, those that are being replaced and spares included.',
    labels: ['phase'],
    samples: countBy(['starting', 'spare', 'ready', 'draining', 'dying'], ({ phase }) => phase),
  },
  {
    name: 'rom_agent_workers_by_health',
    type: 'gauge',
    help: 'Worker processes by their health.',
    labels: ['health'],
    samples: countBy(['healthy', 'degraded', 'unhealthy', 'unresponsive'], ({ health }) => health),
  },
  {
    name: 'rom_agent_spares_wanted',
    type: 'gauge',
    help: 'How many booted workers are to wait to take over.',
    labels: [],
    samples: ({ spares }) => one(spares.wanted),
  },
  {
    name: 'rom_agent_spares_ready',
    type: 'gauge',
    help: 'How many booted workers wait to take over.',
    labels: [],
    samples: ({ spares }) => one(spares.ready),
  },
  {
    name: 'rom_agent_worker_restarts_total',
    type: 'counter',
    help: 'Workers that were replaced outside of a reload, by cause: it died before it listened (boot), crash, hang, unhealthy, memory, age (`max_age`, `max_requests`), or an operator asked.',
    labels: ['cause'],
    samples: ({ counters }) => each(counters.restarts),
  },
  {
    name: 'rom_agent_worker_exits_total',
    type: 'counter',
    help: 'Workers that ended, by kind: drained as requested, killed at a limit, or a death that nobody asked for (boot, crash, hang).',
    labels: ['kind'],
    samples: ({ counters }) => each(counters.endings),
  },
  {
    name: 'rom_agent_requests_lost_total',
    type: 'counter',
    help: 'Requests that workers left unanswered at their end.',
    labels: [],
    samples: ({ counters }) => one(counters.requestsLost),
  },
  {
    name: 'rom_agent_oom_kills_total',
    type: 'counter',
    help: 'Processes of the service that the kernel killed for memory, seen at the end of a worker.',
    labels: [],
    samples: ({ counters }) => one(counters.oomKills),
  },
  {
    name: 'rom_agent_cell_ready',
    type: 'gauge',
    help: '1 while the cell serves suspected requests; only where there was one (`poison.cell`), as the next.',
    labels: [],
    samples: ({ cell }) => one(cell === undefined ? null : Number(cell.isReady)),
  },
  {
    name: 'rom_agent_cell_deaths_total',
    type: 'counter',
    help: 'How often the cell died since the master started; no other metric counts that.',
    labels: [],
    samples: ({ cell }) => one(cell?.deaths ?? null),
  },
  {
    name: 'rom_agent_reloads_total',
    type: 'counter',
    help: 'Reloads that are over, by their verdict.',
    labels: ['verdict'],
    samples: ({ counters }) => each(counters.reloads),
  },
  {
    name: 'rom_agent_mirrored_requests_total',
    type: 'counter',
    help: 'Requests that canaries were asked beside the old workers (reload.mirror), by what came of them.',
    labels: ['outcome'],
    samples: ({ counters }) => each(counters.mirrored),
  },
  {
    name: 'rom_agent_reload_in_progress',
    type: 'gauge',
    help: '1 while a reload is under way.',
    labels: [],
    samples: ({ reloading }) => one(reloading ? 1 : 0),
  },
  {
    name: 'rom_agent_deploys_total',
    type: 'counter',
    help: 'Deploys that are over since the master started, by their verdict; with `[deploy]` only, as the next three.',
    labels: ['verdict'],
    samples: ({ deploys }) => (deploys === undefined ? [] : each(deploys.verdicts)),
  },
  {
    name: 'rom_agent_deploy_in_progress',
    type: 'gauge',
    help: '1 while a deploy is under way.',
    labels: [],
    samples: ({ deploys }) => (deploys === undefined ? [] : one(deploys.isUnderWay ? 1 : 0)),
  },
  {
    name: 'rom_agent_deploy_duration_seconds',
    type: 'gauge',
    help: 'How long the last deploy took.',
    labels: [],
    samples: ({ deploys }) => (deploys?.lastTookSeconds == null ? [] : one(deploys.lastTookSeconds)),
  },
  {
    name: 'rom_agent_release_info',
    type: 'gauge',
    help: 'Always 1, with the release to which `current` leads, and its commit.',
    labels: ['release', 'commit'],
    samples: ({ deploys }) =>
      deploys == null || deploys.current === null
        ? []
        : [{ labels: [deploys.current, deploys.commit ?? ''], value: 1 }],
  },
  {
    name: 'rom_agent_watchdog_pings_total',
    type: 'counter',
    help: 'Pings that the master sent to the watchdog of systemd.',
    labels: [],
    samples: ({ watchdog, counters }) => one(watchdog === null ? null : counters.watchdogPings),
  },
  {
    name: 'rom_agent_watchdog_withheld',
    type: 'gauge',
    help: '1 while the master withholds the pings, because too few workers answer.',
    labels: [],
    samples: ({ watchdog }) => one(watchdog === null ? null : watchdog.withheld ? 1 : 0),
  },
  {
    name: 'rom_agent_connections_moved_total',
    type: 'counter',
    help: 'Connections that a worker handed on to another one.',
    labels: [],
    samples: ({ counters }) => one(counters.connectionsMoved),
  },
  {
    name: 'rom_agent_balance_moves_total',
    type: 'counter',
    help: 'Orders of the master to hand connections on, to even out the workers.',
    labels: [],
    samples: ({ counters }) => one(counters.balanceMoves),
  },
  {
    name: 'rom_agent_listen_queue_connections',
    type: 'gauge',
    help: 'Connections that wait in the kernel to be accepted by a worker (Linux, TCP).',
    labels: [],
    samples: ({ listenQueue }) => one(listenQueue.waiting),
  },
  {
    name: 'rom_agent_host_listen_overflows_total',
    type: 'counter',
    help: 'Connections that the kernel dropped since the queue of a listening socket was full: of every service in this network namespace, since its start.',
    labels: [],
    samples: ({ listenQueue }) => one(listenQueue.overflows),
  },
  {
    name: 'rom_agent_host_listen_drops_total',
    type: 'counter',
    help: 'Connections to listening sockets that the kernel dropped for any reason: of every service in this network namespace, since its start.',
    labels: [],
    samples: ({ listenQueue }) => one(listenQueue.drops),
  },
];

/** The master's own process. */
export const masterFamilies: readonly Family[] = [
  {
    name: 'rom_agent_master_resident_memory_bytes',
    type: 'gauge',
    help: 'Resident set size (RSS) of the master.',
    labels: [],
    samples: ({ master }) => one(master.rssBytes),
  },
  {
    name: 'rom_agent_master_heap_used_bytes',
    type: 'gauge',
    help: "What is in use of the heap of the master's V8.",
    labels: [],
    samples: ({ master }) => one(master.heapUsedBytes),
  },
  {
    name: 'rom_agent_master_cpu_seconds_total',
    type: 'counter',
    help: 'CPU time of the master, user and system.',
    labels: [],
    samples: ({ master }) => one(master.cpuSeconds),
  },
  {
    name: 'rom_agent_master_event_loop_active_seconds_total',
    type: 'counter',
    help: 'Time in which the event loop of the master was busy.',
    labels: [],
    samples: ({ master }) => one(master.loopActiveSeconds),
  },
  {
    name: 'rom_agent_master_event_loop_idle_seconds_total',
    type: 'counter',
    help: 'Time in which the event loop of the master waited.',
    labels: [],
    samples: ({ master }) => one(master.loopIdleSeconds),
  },
  {
    name: 'rom_agent_master_open_fds',
    type: 'gauge',
    help: 'Open file descriptors of the master (Linux).',
    labels: [],
    samples: ({ master }) => one(master.openFds),
  },
  {
    name: 'rom_agent_master_max_fds',
    type: 'gauge',
    help: 'How many file descriptors the master may have (Linux).',
    labels: [],
    samples: ({ master }) => one(master.maxFds),
  },
];

function each(record: Readonly<Record<string, number>>): readonly Sample[] {
  return Object.entries(record).map(([label, value]) => ({ labels: [label], value }));
}

/** 1 for the state in which something is, 0 for the others. */
function oneOf(states: readonly string[], state: string): readonly Sample[] {
  return states.map((each) => ({ labels: [each], value: each === state ? 1 : 0 }));
}

/** How many workers there are of each value. */
function countBy(values: readonly string[], value: (worker: WorkerSnapshot) => string) {
  return ({ workers }: MetricsSnapshot): readonly Sample[] =>
    values.map((each) => ({
      labels: [each],
      value: workers.filter((worker) => value(worker) === each).length,
    }));
}
