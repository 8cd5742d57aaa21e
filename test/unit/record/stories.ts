import type { SimCluster, SimOptions } from '../../simulation/sim-cluster.js';
import { anyCost } from '../../support/route-cost.js';
import { anyStall } from '../../support/stall.js';

/** What an operator may ask about: each with a simulation in which it happens. */
export interface Story {
  readonly title: string;
  readonly options: SimOptions;
  readonly script: (cluster: SimCluster) => void;
}

const mebibyte = 2 ** 20;
const failure = { message: 'the app threw: cannot reach the database', exitCode: 70 };
const report = { method: 'GET', path: '/report', ageMs: 12_000 };
const limited = { maxRss: null, maxHeap: 0, pressure: 0 };

export const stories: readonly Story[] = [
  {
    title:
      'A worker is late for half a minute while the others are not: it is replaced, and the next one is late too.',
    options: {
      policy: { workers: 3, health: { slowDelay: 500, slowLimit: 15_000 } },
      play: ({ slot }) =>
        slot === 3 ? { requests: [report], heartbeat: () => ({ eventLoopDelayMs: 4_200 }) } : {},
    },
    script: (cluster) => cluster.start().run(40_000).stop().runToEnd(),
  },
  {
    title: 'A worker is slow for a few seconds, and recovers by itself.',
    options: {
      play: ({ slot }) =>
        slot === 1 ? { heartbeat: (served) => ({ eventLoopDelayMs: served < 6_000 ? 800 : 1 }) } : {},
    },
    script: (cluster) => cluster.start().run(10_000).stop().runToEnd(),
  },
  {
    title: 'A worker has more memory than it may have, and another one fills its heap.',
    options: {
      policy: { workers: 3, memory: { ...limited, maxRss: 200 * mebibyte, maxHeap: 0.9 } },
      play: ({ slot, nth }) => ({
        heartbeat: () =>
          nth > 1
            ? {}
            : {
                rssBytes: (slot === 1 ? 300 : 50) * mebibyte,
                heapUsedBytes: (slot === 2 ? 500 : 10) * mebibyte,
              },
      }),
    },
    script: (cluster) => cluster.start().run(15_000).stop().runToEnd(),
  },
  {
    title: 'The memory is short, and no worker has grown: nothing would help.',
    options: { policy: { memory: { ...limited, pressure: 0.9 } } },
    script: (cluster) => {
      cluster.start().run(3_500);
      for (let reading = 0; reading < 4; reading++) {
        cluster.post({ type: 'memory', used: 950 * mebibyte, limit: 1_000 * mebibyte, stalled: null });
        cluster.run(1_000);
      }
      cluster.stop().runToEnd();
    },
  },
  {
    title: 'No worker answers: the pings to the watchdog are withheld, until one does again.',
    options: {
      policy: { pingInterval: 2_000, hangTimeout: 60_000 },
      play: () => ({ hang: 1_000, recovers: 20_000, proves: true }),
    },
    script: (cluster) => cluster.start().run(40_000).stop().runToEnd(),
  },
  {
    title: 'A worker falls silent and comes back before it is killed.',
    options: {
      play: ({ slot }) => (slot === 1 ? { hang: 1_000, recovers: 3_400, capture: { state: 'blocked' } } : {}),
    },
    script: (cluster) => cluster.start().run(9_000).stop().runToEnd(),
  },
  {
    title: 'More workers, fewer workers, one restarted, and what is refused.',
    options: { play: () => ({ drain: 200 }) },
    script: (cluster) => {
      cluster.start().run(1_000);
      cluster.ask({ type: 'scale', by: 'alice', change: { to: 4 } });
      cluster.run(1_000);
      cluster.ask({ type: 'scale', by: 'SIGTTOU', change: { add: -1 } });
      cluster.run(1_000);
      cluster.ask({ type: 'restart', by: 'bob', slot: 2 });
      cluster.ask({ type: 'restart', by: 'bob', slot: 9 });
      cluster.ask({ type: 'abort', by: 'carol' });
      cluster.run(1_000).stop('SIGTERM').runToEnd();
    },
  },
  {
    title: 'The same request is in flight at three deaths: it is kept out, and let in again.',
    options: {
      policy: { poison: { deaths: 3, window: 600_000, block: 5_000 }, restart: { intensity: 9 } },
      play: ({ slot, nth }) =>
        slot === 1 && nth <= 3
          ? { requests: [report], crash: { after: 5_500, code: 1 } }
          : { requests: [{ ...report, path: '/' }], requestsPerSecond: 50 },
    },
    script: (cluster) => cluster.start().run(40_000).stop().runToEnd(),
  },
  {
    title: 'A canary fails its probe.',
    options: { play: ({ generation }) => (generation === 2 ? { probe: 'status 500' } : {}) },
    script: (cluster) => {
      cluster.start().run(1_000).reload();
      cluster.run(4_000).stop().runToEnd();
    },
  },
  {
    title: 'A canary answers slower than the others.',
    options: {
      play: ({ generation }) => ({
        requestsPerSecond: 100,
        latency: generation === 2 ? 900 : 10,
        drain: 100,
      }),
    },
    script: (cluster) => {
      cluster.start().run(3_000).reload();
      cluster.run(6_000).stop().runToEnd();
    },
  },
  {
    title: 'A reload is aborted, with a scale that waits for it.',
    options: { policy: { reload: { soak: 10_000 } } },
    script: (cluster) => {
      cluster.start().run(1_000).reload();
      cluster.ask({ type: 'scale', by: 'alice', change: { add: 1 } });
      cluster.run(500);
      cluster.ask({ type: 'abort', by: 'bob' });
      cluster.run(2_000).stop().runToEnd();
    },
  },
  {
    title: 'A reload without a way back whose workers do not start is superseded by another one.',
    options: {
      policy: { restart: { intensity: 50 } },
      play: ({ generation }) =>
        generation === 2 ? { bootFailure: { after: 100, failure } } : { drain: 100 },
    },
    script: (cluster) => {
      cluster.start().run(1_000).reload({ rollback: false, soak: false });
      cluster.run(3_000).reload({ by: 'bob', rollback: false, soak: false });
      cluster.run(3_000).stop().runToEnd();
    },
  },
  {
    title: 'No process can be started, and one that starts does not listen in time.',
    options: {
      play: ({ slot, nth }) => {
        if (slot !== 1) return {};
        if (nth === 1) return { crash: { after: 1_000, signal: 'SIGABRT' } };
        if (nth === 2)
          return { forkFails: { message: 'cannot start a worker process: EAGAIN', exitCode: 71 } };
        return nth === 3 ? { boot: null } : {};
      },
    },
    script: (cluster) => cluster.start().run(20_000).stop().runToEnd(),
  },
  {
    title: 'A spare dies while it waits.',
    options: {
      policy: { spares: 1 },
      play: ({ slot, nth }) =>
        slot === null && nth === 1 ? { crash: { after: 500, signal: 'SIGKILL' } } : {},
    },
    script: (cluster) => cluster.start().run(5_000).stop().runToEnd(),
  },
  {
    title: 'A reload is done while a spare of the generation before waits.',
    options: { policy: { spares: 1 } },
    script: (cluster) => {
      cluster.start().run(1_000).reload();
      cluster.run(4_000).stop().runToEnd();
    },
  },
  {
    title: 'The event loop of the master stalls, and Ctrl-C twice ends the service.',
    options: { play: () => ({ drain: null, inFlight: 1 }) },
    script: (cluster) => {
      cluster.start().run(2_500).freeze(7_000).run(2_000).stop('SIGINT').run(500);
      cluster.stop('SIGINT again', true).runToEnd();
    },
  },
  {
    title: 'The event loop of a worker was blocked, and a heap snapshot keeps another one silent.',
    options: {},
    script: (cluster) => {
      cluster.start().run(1_000);
      cluster.post({
        type: 'stalled',
        key: 1,
        stall: { ...anyStall, share: 0.9, looks: 30, requests: [report] },
      });
      cluster.post({ type: 'excused', key: 2, for: 60_000 });
      cluster.run(1_000).stop().runToEnd();
    },
  },
  {
    title: 'One route takes most of the CPU and blocks the event loops, another one keeps memory.',
    options: {},
    script: (cluster) => {
      cluster.start().run(1_000);
      cluster.post({ type: 'costs', heavy: [anyCost] });
      const leak = { kind: 'GET /cart', bytesPerRequest: 3 * mebibyte, share: 0.9 };
      cluster.post({
        type: 'leaks',
        leaks: [{ ...leak, lowBytes: 2 * mebibyte, highBytes: 4 * mebibyte }],
      });
      cluster.run(1_000).stop().runToEnd();
    },
  },
  {
    title: 'Workers of which not even SIGKILL is the end.',
    options: { policy: { drainTimeout: 2_000 }, play: () => ({ hang: 500, immortal: true }) },
    script: (cluster) => cluster.start().run(1_000).stop().runToEnd(),
  },
];
