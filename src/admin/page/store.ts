/** All that the page knows, bounded; nothing here knows the DOM. */

import { Heaps } from '../../heap/growth.js';
import type { ReloadRecord, ReloadStep } from '../../protocol/reload-record.js';
import type { ClusterStats } from '../../protocol/stats.js';
import type {
  AdminEvents,
  AdminState,
  DaemonState,
  EvidenceFile,
  HistoryEvent,
  LogLine,
  Operations,
} from '../api.js';
import type { Death, Doing, Situation } from './diagnosis.js';
import { Series } from './series.js';
import { Lanes } from './timeline.js';

const mostLogs = 2_000;
const mostDeaths = 100;
const mostReloads = 50;
const mostDeployLines = 200;

/** What happened to the whole service, which is drawn across all charts. */
export interface Flag {
  readonly atMs: number;
  readonly kind: 'reload' | 'rolled-back' | 'death';
  readonly label: string;
}

export class Store {
  name = 'rom-agent';
  version = '';
  link: 'first' | 'live' | 'broken' = 'first';
  daemon: DaemonState = { state: 'up', reason: null, sinceMs: 0 };
  stats: ClusterStats | null = null;
  config: AdminState['config'] = {};
  logs: LogLine[] = [];
  /** Counts the lines that were ever added, so that the view knows which are new. */
  logsSeen = 0;
  logSource = '';
  evidence: readonly EvidenceFile[] = [];
  operations: Operations = { jobs: [], deploys: null, fleet: null, lines: [] };
  readonly series = new Series();
  readonly lanes = new Lanes();
  readonly heaps = new Heaps();
  /** By PID. */
  readonly doing = new Map<number, Doing>();
  readonly #deaths = new Map<string, Death>();
  readonly #reloads = new Map<number, Flag>();
  /** Steps of the reload that is under way, or of the last. */
  steps: readonly ReloadStep[] = [];
  #stepsOf = 0;
  /** Server's clock minus ours, ms. */
  #skew = 0;

  /** The server's clock. */
  now(): number {
    return Date.now() + this.#skew;
  }

  begin(state: AdminState): void {
    this.#skew = state.nowMs - Date.now();
    this.name = state.name;
    this.version = state.version;
    this.daemon = state.daemon;
    this.config = state.config;
    this.logs = state.logs.slice(-mostLogs);
    this.logsSeen += this.logs.length;
    this.logSource = state.logSource;
    this.evidence = state.evidence;
    this.operations = state.operations;
    this.series.reset(state.samples);
    this.lanes.reset(state.lanes);
    this.heaps.clear();
    for (const { atMs, workers } of state.samples) this.heaps.note(atMs, workers);
    for (const event of state.history) this.#note(event);
    if (state.stats !== null) this.#setStats(state.stats);
  }

  take<K extends keyof AdminEvents>(name: K, data: AdminEvents[K]): void {
    this.#takers[name](data);
  }

  readonly #takers: { readonly [K in keyof AdminEvents]: (data: AdminEvents[K]) => void } = {
    daemon: (daemon) => {
      this.daemon = daemon;
    },
    stats: (stats) => this.#setStats(stats),
    sample: (sample) => {
      this.series.add(sample);
      this.heaps.note(sample.atMs, sample.workers);
    },
    event: (event) => this.#note(event),
    lane: (lane) => this.lanes.put(lane),
    log: (line) => {
      this.logs.push(line);
      this.logsSeen++;
      if (this.logs.length > mostLogs * 1.2) this.logs.splice(0, this.logs.length - mostLogs);
    },
    evidence: (evidence) => {
      this.evidence = evidence;
    },
    operations: (operations) => {
      this.operations = operations;
    },
    deploy: (told) => {
      const { lines } = this.operations;
      const before = lines[0]?.id === told.id ? lines : [];
      this.operations = { ...this.operations, lines: [...before.slice(1 - mostDeployLines), told] };
    },
    reset: () => {},
  };

  #setStats(stats: ClusterStats): void {
    this.stats = stats;
    const now = this.now();
    for (const death of stats.deaths) {
      const key = `${death.pid} ${death.generation} ${death.worker}`;
      const known = this.#deaths.get(key);
      this.#deaths.set(key, { ...death, atMs: known?.atMs ?? now - death.agoSeconds * 1_000 });
    }
    bound(this.#deaths, mostDeaths);
    const living = new Set(stats.workers.map(({ pid }) => pid));
    for (const pid of this.doing.keys()) if (!living.has(pid)) this.doing.delete(pid);
    if (stats.lastReload !== null) this.#reload(stats.lastReload);
    for (const { serial, atMs, verdict, generation } of stats.reloads) {
      this.#reloads.set(serial, flagOf({ atMs, verdict, generation }));
    }
    bound(this.#reloads, mostReloads + 1);
  }

  #reload(record: ReloadRecord): void {
    this.#stepsOf = record.generation;
    this.steps = record.steps;
    this.#reloads.set(record.serial, flagOf(record));
  }

  #note({ event }: HistoryEvent): void {
    switch (event.type) {
      case 'step':
        if (event.generation !== this.#stepsOf) {
          this.#stepsOf = event.generation;
          this.steps = [];
        }
        if (!this.steps.some((step) => same(step, event.step))) this.steps = [...this.steps, event.step];
        break;
      case 'record':
        this.#reload(event.record);
        break;
      case 'worker':
      case 'stall':
      case 'service':
        break;
    }
  }

  /** Newest first. */
  deaths(): readonly Death[] {
    return [...this.#deaths.values()].sort((a, b) => b.atMs - a.atMs);
  }

  flags(): readonly Flag[] {
    const deaths = [...this.#deaths.values()].map(
      ({ atMs, worker, kind }): Flag => ({ atMs, kind: 'death', label: `worker ${worker}: ${kind}` }),
    );
    return [...deaths, ...this.#reloads.values()];
  }

  /** A setting that is a number; null: it is off, or unknown. */
  number(key: string): number | null {
    const value = this.config[key]?.value;
    return typeof value === 'number' && value > 0 ? value : null;
  }

  /** Of the answers of the last seconds; null: unknown. */
  errorShare(): number | null {
    const requests = this.series.mean('requestsPerSecond', 10_000) ?? 0;
    const errors = this.series.mean('errorsPerSecond', 10_000);
    return errors === null || requests < 0.2 ? null : errors / requests;
  }

  situation(): Situation {
    const heap = this.number('max_old_space_size');
    return {
      nowMs: this.now(),
      link: this.link,
      daemon: this.daemon,
      stats: this.stats,
      hangTimeoutMs: this.number('hang_timeout'),
      heapLimitBytes: heap === null ? null : heap * 1024 * 1024,
      doing: this.doing,
      deaths: this.deaths(),
      growing: this.heaps.growing(),
      stalls: this.stats?.stalls ?? [],
      errorShare: this.errorShare(),
      busy: this.series.mean('eventLoopUtilization', 15_000) ?? 0,
    };
  }
}

/** What came first goes first. */
function bound<K>(map: Map<K, unknown>, most: number): void {
  for (const key of map.keys()) {
    if (map.size <= most) return;
    map.delete(key);
  }
}

function same(one: ReloadStep, other: ReloadStep): boolean {
  return one.atMs === other.atMs && one.step === other.step && one.worker === other.worker;
}

function flagOf(record: Pick<ReloadRecord, 'atMs' | 'verdict' | 'generation'>): Flag {
  const rolledBack = record.verdict === 'rolled-back';
  return {
    atMs: record.atMs,
    kind: rolledBack ? 'rolled-back' : 'reload',
    label: `generation ${record.generation}${rolledBack ? ' rolled back' : ''}`,
  };
}
