import type { ControlClient } from '../control/client.js';
import type { ControlEvent, EvidenceFile } from '../protocol/control-api.js';
import type { MetricsSnapshot } from '../protocol/metrics.js';
import type { ClusterStats } from '../protocol/stats.js';
import type { WhyLine } from '../protocol/why.js';
import type { AdminState, HistoryEvent } from './api.js';
import { createLanes } from './lanes.js';
import { createLink } from './link.js';
import { createLogTail, type ReadLog } from './log-tail.js';
import { createOperations, type OperationsWatch } from './operations.js';
import { createSamples } from './samples.js';
import { createStream, type Stream } from './stream.js';

/** What the server knows of the daemon, and tells those who look. */
export interface Observer {
  readonly stream: Stream;
  /** Asks the daemon for what changes seldom. Never rejects: without the daemon it is what was known last. */
  state(): Promise<AdminState>;
  /** The same without asking: what is some seconds old. */
  known(): AdminState;
  /** Of what is planned and deployed. */
  readonly operations: Pick<OperationsWatch, 'begin' | 'ask'>;
  /** A file was written: tells those who look. */
  refreshEvidence(): Promise<void>;
  run(): Promise<void>;
  end(): void;
}

export interface ObserverSeam {
  readonly name: string;
  readonly version: string;
  readonly client: ControlClient;
  /** Wall clock, ms since 1970. */
  readonly clock: () => number;
  readonly readLog: ReadLog;
  /** Calls back after so many ms; returns what prevents it. */
  readonly after: (ms: number, call: () => void) => () => void;
  /** Tells this run from others. */
  readonly boot: string;
}

const hourMs = 3_600_000;
const mostHistory = 2_000;
/** How long after the last listener has gone somebody still counts as looking: a page that is loaded anew. */
const lingerMs = 15_000;
/** What changes seldom is waited for so long, ms. */
const patience = 2_000;

export function createObserver(seam: ObserverSeam): Observer {
  const { name, version, client, clock, readLog, after, boot } = seam;
  const lanes = createLanes();
  const samples = createSamples();
  let history: HistoryEvent[] = [];
  let stats: ClusterStats | null = null;
  let config: AdminState['config'] = {};
  let evidence: readonly EvidenceFile[] = [];
  let why: readonly WhyLine[] = [];
  let watched = false;
  let forgetLinger = (): void => {};

  const watch = (is: boolean): void => {
    if (watched === is) return;
    watched = is;
    tail.watch(is);
    if (is) link.wake();
  };
  const stream = createStream({
    boot,
    onListeners: (count) => {
      if (count > 0) watch(true);
      linger();
    },
  });
  /** Where nobody listens, the time begins after which nobody looks either. */
  const linger = (): void => {
    forgetLinger();
    if (stream.listeners() === 0) forgetLinger = after(lingerMs, () => watch(false));
  };
  const tail = createLogTail({ read: readLog, onLine: (line) => stream.publish('log', line) });
  const operations = createOperations({
    client,
    onChange: (all) => stream.publish('operations', all),
    onDeploy: (told) => stream.publish('deploy', told),
  });
  const onEvent = (event: ControlEvent): void => {
    const atMs = clock();
    // Its settings may be others now.
    if (event.type === 'record') operations.renew();
    history = [...history.slice(1 - mostHistory), { atMs, event }];
    stream.publish('event', { atMs, event });
    const lane = event.type === 'worker' ? lanes.heard(event, atMs) : null;
    if (lane !== null) stream.publish('lane', lane);
  };
  const onStats = async (next: ClusterStats): Promise<void> => {
    const atMs = clock();
    stats = next;
    lanes.saw(next, atMs);
    const metrics = watched ? await metricsOf(client) : null;
    const sample = samples.add(next, metrics, atMs);
    stream.publish('stats', next);
    stream.publish('sample', sample);
    if (watched) await operations.ask();
  };
  const link = createLink({
    ...{ client, clock, after, onEvent, onStats },
    isWatched: () => watched,
    onState: (state) => {
      stream.publish('daemon', state);
      if (state.state === 'up') void recall();
    },
    onLog: tail.heard,
  });

  /** What the daemon's record has of the time before this server started. */
  const recall = async (): Promise<void> => {
    operations.renew();
    await askWhy();
    lanes.recall(why, clock() - hourMs);
  };
  const askWhy = async (): Promise<void> => {
    const found = await within(client.why({ since: hourMs / 1_000, lines: 1_000 }));
    if (found !== null) why = found.lines;
  };
  const askEvidence = async (): Promise<void> => {
    evidence = (await within(client.evidenceFiles())) ?? evidence;
  };
  const askConfig = async (): Promise<void> => {
    config = (await within(client.config())) ?? config;
  };

  /** Somebody looks, or will in a moment. */
  const look = (): void => {
    watch(true);
    linger();
  };
  const known = (): AdminState => {
    const nowMs = clock();
    history = history.filter(({ atMs }) => atMs > nowMs - hourMs);
    return {
      ...{ name, version, nowMs, lastEventId: stream.lastId(), daemon: link.state() },
      ...{ stats, config, samples: samples.list(), history, lanes: lanes.list(), why, evidence },
      ...{ logs: tail.lines(), logSource: tail.source(), operations: operations.list() },
    };
  };

  return {
    stream,
    operations,
    state: async () => {
      look();
      if (link.state().state === 'up')
        await Promise.all([askWhy(), askEvidence(), askConfig(), within(operations.ask())]);
      return known();
    },
    known: () => {
      look();
      return known();
    },
    refreshEvidence: async () => {
      await askEvidence();
      stream.publish('evidence', evidence);
    },
    run: link.run,
    end: () => {
      forgetLinger();
      tail.watch(false);
      link.end();
    },
  };
}

/** Null where the daemon has none, as one of an older build. */
function metricsOf(client: ControlClient): Promise<MetricsSnapshot | null> {
  return within(client.metrics());
}

/** Null where it is not answered, or not in time. */
async function within<T>(question: Promise<T>): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), patience);
  });
  try {
    return await Promise.race([question.catch(() => null), deadline]);
  } finally {
    clearTimeout(timer);
  }
}
