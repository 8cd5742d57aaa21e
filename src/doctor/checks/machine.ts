import { besidesHeap, heapShare, masterSize } from '../../config/resolve.js';
import { smallestHeap } from '../../settings/table.js';
import { boundsOf } from '../../settings/worker-count.js';
import type { Facts } from '../facts.js';
import { bySysctl, type Check, inUnit, type Outcome, ok, problem, unknown, warning } from '../finding.js';

export const nodeChecks: readonly Check[] = [whichNode, version, addon];

/** Settings of the kernel's network stack: tcp(7), and ip-sysctl of the kernel's documentation. */
export const kernelChecks: readonly Check[] = [somaxconn, synBacklog, migration];

/** Memory, CPUs and threads of the service against the workers that it has. */
export const resourceChecks: readonly Check[] = [hierarchy, memory, memoryHigh, cpus, tasks];

/** File descriptors: each connection is one, in the process that serves it. */
export const descriptorChecks: readonly Check[] = [limit, kernelLimit];

/** The last day with security fixes: nodejs/Release, schedule.json. */
const ends: Readonly<Record<number, string>> = {
  18: '2025-04-30',
  19: '2023-06-01',
  20: '2026-04-30',
  21: '2024-06-01',
  22: '2027-04-30',
  23: '2025-06-01',
  24: '2028-04-30',
  25: '2026-06-01',
  26: '2029-04-30',
};

interface Gain {
  readonly what: string;
  readonly in: (version: Version) => boolean;
}

/** What a newer one would give. */
const gains: readonly Gain[] = [
  { what: 'dispatch reuseport (22.12)', in: (v) => atLeast(v, 22, 12) && !(v.major === 23 && v.minor < 1) },
  { what: 'a compile cache, for faster starts (22.1)', in: (v) => atLeast(v, 22, 1) },
  {
    what: 'apps in TypeScript as they are (22.18)',
    in: (v) => atLeast(v, 22, 18) && !(v.major === 23 && v.minor < 6),
  },
];

interface Version {
  readonly major: number;
  readonly minor: number;
}

function whichNode({ node: { isUnitsNode, path, unitPath }, systemd }: Facts): readonly Outcome[] {
  if (isUnitsNode) return [];
  const found = `${systemd?.name} runs ${unitPath}, and this is ${path}: the findings below are about this one`;
  return [unknown('which one', found, `sudo ${unitPath} PATH/dist/cli/main.js doctor`)];
}

function version({ node, now }: Facts): readonly Outcome[] {
  const running = parse(node.version);
  const lacks = gains.filter((gain) => !gain.in(running)).map(({ what }) => what);
  const more = lacks.length === 0 ? '' : `; newer versions have ${lacks.join(', ')}`;
  const newer = `Node ${newestSupported(now)}: https://nodejs.org/en/download`;
  if (!atLeast(running, 20, 19))
    return [problem('version', `${node.version}, and rom-agent needs 20.19${more}`, newer)];
  const end = ends[running.major];
  if (end === undefined || now <= Date.parse(`${end}T23:59:59Z`))
    return [ok('version', `${node.version}${more}`)];
  return [warning('version', `${node.version} has had no security fixes since ${end}${more}`, newer)];
}

/** Without it systemd is never told READY=1: a start is refused. */
function addon({ node: { addon, isUnitsNode }, systemd, platform }: Facts): readonly Outcome[] {
  if (platform !== 'linux') return [];
  if (!isUnitsNode)
    return [unknown('sd-notify', "it is compiled for one Node and must be tested with the unit's")];
  if (addon === null)
    return [ok('sd-notify', 'can be loaded: systemd receives readiness and watchdog pings')];
  const change =
    "sudo apt-get install libsystemd-dev g++ make python3, then in the project's clone npm ci with this Node, and sudo make install";
  const found = `cannot be loaded (${addon})`;
  if (systemd?.unit != null)
    return [problem('sd-notify', `${found}: a start under systemd ends with 78`, change)];
  return [ok('sd-notify', `${found}, which matters under systemd only`)];
}

/** The oldest even one that still has a year; else the newest known. */
function newestSupported(now: number): number {
  const known = Object.entries(ends).filter(([major]) => Number(major) % 2 === 0);
  const good = known.find(([, end]) => Date.parse(end) - now > 365 * 86_400_000);
  return Number((good ?? known.at(-1))?.[0]);
}

function parse(text: string): Version {
  const [major = 0, minor = 0] = text.replace(/^v/, '').split('.').map(Number);
  return { major, minor };
}

function atLeast({ major, minor }: Version, wanted: number, wantedMinor: number): boolean {
  return major > wanted || (major === wanted && minor >= wantedMinor);
}

/** What workers listen with, where the app does not say: Node's, and rom-agent's own on sockets that systemd holds. */
const backlogs = { node: 511, passed: 4096 } as const;

/** A limit above every backlog. */
function somaxconn({ sysctl, platform }: Facts): readonly Outcome[] {
  if (platform !== 'linux') return [];
  const name = 'net.core.somaxconn';
  const limit = Number(sysctl(name) ?? Number.NaN);
  if (Number.isNaN(limit)) return [unknown(name, 'cannot be read')];
  if (limit >= backlogs.passed) return [ok(name, `${limit}`)];
  const least = limit < backlogs.node ? `, below even Node's backlog of ${backlogs.node}` : '';
  const found = `${limit}${least}: larger bursts of connections are dropped and retried late while workers are busy`;
  return [warning(name, found, bySysctl(name, backlogs.passed))];
}

/** Counts only without SYN cookies: with them a full queue costs TCP options, not connections. */
function synBacklog({ sysctl, platform }: Facts): readonly Outcome[] {
  if (platform !== 'linux') return [];
  const name = 'net.ipv4.tcp_max_syn_backlog';
  const limit = Number(sysctl(name) ?? Number.NaN);
  const cookies = sysctl('net.ipv4.tcp_syncookies');
  if (Number.isNaN(limit) || cookies === null) return [];
  const wanted = Math.min(Number(sysctl('net.core.somaxconn') ?? backlogs.passed), backlogs.passed);
  if (cookies !== '0' || limit >= wanted)
    return [ok(name, `${limit}${cookies === '0' ? '' : ', with SYN cookies'}`)];
  const found = `${limit}, without SYN cookies and below the accept queue of ${wanted}: a burst loses handshakes`;
  return [warning(name, found, bySysctl('net.ipv4.tcp_syncookies', 1))];
}

function migration({ sysctl, platform, settings: { config } }: Facts): readonly Outcome[] {
  if (platform !== 'linux' || config.dispatch !== 'reuseport') return [];
  const name = 'net.ipv4.tcp_migrate_req';
  const value = sysctl(name);
  if (value === '1') return [ok(name, '1: connections that wait for a worker that exits move to another')];
  const lost = 'dispatch reuseport loses connections that wait for a worker that exits';
  if (value === null)
    return [warning(name, `missing from this kernel (added in Linux 5.14): ${lost}`, 'dispatch = "shared"')];
  return [warning(name, `${value}: ${lost}`, `${bySysctl(name, 1)}; or dispatch = "shared"`)];
}

function hierarchy({ machine, platform }: Facts): readonly Outcome[] {
  if (platform !== 'linux') return [];
  switch (machine.hierarchy) {
    case 'v2':
      return [ok('cgroup', 'version 2')];
    case 'v1':
      return [ok('cgroup', 'version 1: without memory.high and PSI, memory pressure is noticed later')];
    case null:
      return [unknown('cgroup', 'none is mounted: limits are unknown')];
  }
}

function memory({ settings: { config }, machine, systemd }: Facts): readonly Outcome[] {
  const { maxOldSpaceSize: heap, spares } = config;
  const workers = boundsOf(config.workers).max;
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
      problem(
        'memory',
        `${sum}, but only ${has} is available: too little for usable heaps`,
        `${fewer}${more}`,
      ),
    ];
  const found = `${sum}, but only ${has} is available: the kernel may kill workers before V8 collects garbage`;
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
  const found = `${high} without MemoryMax=: above it the kernel throttles the service indefinitely instead of killing it`;
  return [
    warning(
      'MemoryHigh',
      found,
      inUnit(unit.name, `MemoryMax=${Math.round((unit.memoryHigh / 2 ** 20) * 1.1)}M`),
    ),
  ];
}

function cpus({ settings: { config, effective }, machine }: Facts): readonly Outcome[] {
  const workers = boundsOf(config.workers).max;
  const has = `${machine.cpus} (${machine.cpusFrom})`;
  if (workers <= machine.cpus) return [ok('CPUs', `${has} for ${workers} workers`)];
  const found = `${has} for ${workers} workers (from ${effective.workers.from}): workers wait for CPU`;
  return [warning('CPUs', found, 'workers = "auto"')];
}

/** Measured with Node 20 on Linux: its main thread, four of V8, four of libuv, one that delays and one for signals. */
const threadsPerProcess = 11;

/** While one is replaced there is one more. */
function tasks({ settings: { config }, machine: { tasks }, systemd, platform }: Facts): readonly Outcome[] {
  if (platform !== 'linux') return [];
  if (!Number.isFinite(tasks)) return [ok('threads', 'no limit')];
  const processes = 1 + boundsOf(config.workers).max + config.spares + 1;
  const need = processes * threadsPerProcess;
  const unit = systemd?.unit ?? null;
  const change =
    unit === null ? 'a higher pids.max of the cgroup' : inUnit(unit.name, `TasksMax=${need * 4}`);
  const sum = `${need} in ${processes} processes, of ${tasks}`;
  if (need > tasks) return [problem('threads', `${sum}: workers cannot be forked`, change)];
  if (need * 1.5 > tasks)
    return [warning('threads', `${sum}: little is left for processes of the app`, change)];
  return [ok('threads', sum)];
}

/** Below it a worker cannot even take what the kernel keeps waiting for it (511), with a backend connection for each. */
const least = 1_024;
/** What every macOS allows, and the plist asks for. */
const plenty = 10_240;

function limit({ descriptors: { limit, of }, systemd, platform }: Facts): readonly Outcome[] {
  if (platform === 'darwin') return [];
  if (limit === null) return [unknown('open files', `the limit of ${of} cannot be read`)];
  const unit = systemd?.unit ?? null;
  const shell = 'ulimit -Hn 524288 as root before the start, or LimitNOFILE= in its unit';
  const change = unit === null ? shell : inUnit(unit.name, 'LimitNOFILE=524288');
  const found = `${Number.isFinite(limit) ? limit : 'any number'} (${of}), in each process`;
  if (limit < least) return [problem('open files', `${found}: too few for a burst of connections`, change)];
  if (limit < plenty) return [warning('open files', `${found}: limits the connections of a worker`, change)];
  return [ok('open files', found)];
}

/** Above it setrlimit(2) fails; systemd then takes the highest that it can have. */
function kernelLimit({ systemd, sysctl }: Facts): readonly Outcome[] {
  const unit = systemd?.unit ?? null;
  const most = Number(sysctl('fs.nr_open') ?? Number.NaN);
  if (unit === null || Number.isNaN(most)) return [];
  const { descriptors, name } = unit;
  if (!Number.isFinite(descriptors) || descriptors <= most)
    return [ok('fs.nr_open', `${most}, above LimitNOFILE=`)];
  const change = `fs.nr_open = ${descriptors} in /etc/sysctl.d/rom-agent.conf; or ${inUnit(name, `LimitNOFILE=${most}`)}`;
  return [warning('fs.nr_open', `${most}, and LimitNOFILE= asks for ${descriptors}`, change)];
}
