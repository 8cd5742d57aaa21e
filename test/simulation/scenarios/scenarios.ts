import type { SimCluster, SimOptions } from '../sim-cluster.js';

export interface Scenario {
  /** Of the transcript's file, without `.txt`. */
  readonly name: string;
  /** The transcript's first line. */
  readonly title: string;
  readonly options: SimOptions;
  readonly script: (cluster: SimCluster) => void;
}

const failure = { message: 'the app threw: cannot reach the database', exitCode: 70 };
/** Long enough to be seen, short enough to be read. */
const soaked = { reload: { soak: 500 } };
const slow = { method: 'GET', path: '/checkout/17', ageMs: 40 };
const busy = {
  at: 'checkout (/srv/app/server.js:12:5)',
  stack: '    at checkout (/srv/app/server.js:12:5)\n    at handle (/srv/app/server.js:4:3)',
  requests: [{ ...slow, ageMs: 4_140 }],
};
const deadly = { method: 'GET', path: '/export/17', ageMs: 40 };
const portInUse = { message: 'port 3000 is in use', exitCode: 69, errno: 98 };

export const scenarios: readonly Scenario[] = [
  {
    name: 'start-and-stop',
    title: 'Two workers start, serve for half a minute, and SIGTERM ends them.',
    options: {
      policy: { pingInterval: 10_000, log: { statsInterval: 20_000 } },
      play: ({ slot }) => ({ boot: 100 * (slot ?? 0), requestsPerSecond: 25 }),
    },
    script: (cluster) => cluster.start().run(30_000).stop().runToEnd(),
  },
  {
    name: 'crash-loop',
    title: 'One worker crashes again and again; the other one serves until that is too much.',
    options: {
      policy: { restart: { intensity: 4 } },
      play: ({ slot }) =>
        slot === 1 ? { crash: { after: 700, signal: 'SIGSEGV' } } : { drain: 2_000, inFlight: 1 },
    },
    script: (cluster) => cluster.start().runToEnd(),
  },
  {
    name: 'one-worker-hangs',
    title: 'One worker falls silent, is killed and replaced; the pings to systemd go on.',
    options: {
      policy: { pingInterval: 5_000 },
      play: ({ slot, nth }) => (slot === 2 && nth === 1 ? { hang: 3_500, inFlight: 2 } : {}),
    },
    script: (cluster) => cluster.start().run(15_000).stop().runToEnd(),
  },
  {
    name: 'bad-first-start',
    title: 'The port is in use: the start is given up at once, with the reason and its exit status.',
    options: { play: ({ slot }) => ({ bootFailure: { after: 80 + (slot ?? 0), failure: portInUse } }) },
    script: (cluster) => cluster.start().runToEnd(),
  },
  {
    name: 'stop-under-load',
    title: 'SIGTERM while a slow client downloads: time is asked for while it moves, then it is cut.',
    options: {
      policy: { drainTimeout: 20_000 },
      play: ({ slot }) =>
        slot === 1 ? { drain: null, inFlight: 1, bytesPerSecond: 10_000 } : { drain: 1_200, inFlight: 8 },
    },
    script: (cluster) => cluster.start().run(2_000).stop().run(3_000).stop().runToEnd(),
  },
  {
    name: 'lame-duck',
    title:
      'SIGTERM with a lame duck: everything is served for 8 s, a crash is replaced, and then the drain begins.',
    options: {
      policy: { lameDuck: 8_000 },
      play: ({ slot, nth }) =>
        slot === 1 && nth === 1 ? { crash: { after: 4_000, signal: 'SIGSEGV' } } : { requestsPerSecond: 20 },
    },
    script: (cluster) => {
      cluster.start().run(2_000).stop().run(4_000).reload();
      cluster.runToEnd();
    },
  },
  {
    name: 'another-master-takes-over',
    title: 'Another master has taken over: connections go on without a drain, until the service stops.',
    options: {
      policy: { drainTimeout: 20_000 },
      play: ({ slot }) => (slot === 1 ? { drain: null, inFlight: 1 } : { drain: 1_200, inFlight: 3 }),
    },
    script: (cluster) => {
      cluster.start().run(2_000);
      cluster.post({ type: 'retire', why: 'process 1100 has taken over', patience: 3_600_000 });
      cluster.run(5_000).stop('the service stops').runToEnd();
    },
  },
  {
    name: 'takes-over-from-another-master',
    title:
      'A master beside another one: one worker, then as many as over there, then it is alone, and stops.',
    options: {},
    script: (cluster) => {
      cluster.post({ type: 'start', beside: true });
      cluster.run(2_000);
      cluster.post({ type: 'scale', request: -1, by: 'the master before', change: { to: 2 } });
      cluster.run(1_000);
      cluster.post({ type: 'alone' });
      cluster.run(1_000).stop().runToEnd();
    },
  },
  {
    name: 'process-finishes-its-job',
    title:
      'SIGTERM while an app that is no server has a job: time is asked for as long as it sends heartbeats.',
    options: {
      policy: { kind: 'process', drainTimeout: 20_000 },
      play: ({ slot }) => (slot === 1 ? { drain: 12_000 } : { drain: 100 }),
    },
    script: (cluster) => cluster.start().run(2_000).stop().runToEnd(),
  },
  {
    name: 'replacement-fails-to-boot',
    title: 'A worker crashes and its replacement cannot boot at first; the other one serves meanwhile.',
    options: {
      play: ({ slot, nth }) => {
        if (slot === 2) return { requestsPerSecond: 100 };
        if (nth === 1) return { crash: { after: 4_000, failure } };
        return nth <= 3 ? { bootFailure: { after: 150, failure } } : {};
      },
    },
    script: (cluster) => cluster.start().run(12_000).stop().runToEnd(),
  },
  {
    name: 'reload',
    title: 'A reload: canary, soak, one slot after another; the old workers drain meanwhile.',
    options: {
      policy: soaked,
      play: ({ generation }) =>
        generation === 1 ? { requestsPerSecond: 200, inFlight: 2, drain: 400 } : { requestsPerSecond: 200 },
    },
    script: (cluster) => {
      cluster.start().run(2_000).reload();
      cluster.run(3_000).stop().runToEnd();
    },
  },
  {
    name: 'reload-mirrored',
    title:
      'A canary is asked what the old workers answer, and fails one request in five: no client reaches it.',
    options: {
      policy: { reload: { mirror: 'safe' } },
      play: ({ generation }) =>
        generation === 1
          ? { requestsPerSecond: 10 }
          : {
              mirrored: (nth) => ({
                outcome: 'answered',
                ...{ status: nth % 5 === 0 ? 500 : 200, type: 'text/html', length: 100 },
                ...{ tookMs: 4, waitedMs: 0 },
              }),
            },
    },
    script: (cluster) => {
      cluster.start().run(2_000).reload();
      cluster.run(10_000).stop().runToEnd();
    },
  },
  {
    name: 'reload-mirror-idle',
    title: 'Nobody asks anything while a canary is mirrored: the reload goes on, and says so.',
    options: { policy: { reload: { mirror: 'safe', mirrorTime: 3_000, soak: 500 } } },
    script: (cluster) => {
      cluster.start().run(2_000).reload();
      cluster.run(6_000).stop().runToEnd();
    },
  },
  {
    name: 'reload-canary-crashes',
    title: 'The canary of a release crashes while it is soaked: nothing was replaced, and it is rolled back.',
    options: {
      policy: soaked,
      play: ({ generation }) => (generation === 2 ? { crash: { after: 300, failure } } : {}),
    },
    script: (cluster) => {
      cluster.start().run(2_000).reload();
      cluster.run(3_000).stop().runToEnd();
    },
  },
  {
    name: 'reload-rolled-back-halfway',
    title: 'The second worker of a release cannot start: what was replaced already comes back.',
    options: {
      policy: { ...soaked, workers: 3 },
      play: ({ generation, slot }) =>
        generation === 2 && slot === 2 ? { bootFailure: { after: 150, failure } } : { drain: 200 },
    },
    script: (cluster) => {
      cluster.start().run(2_000).reload();
      cluster.run(3_000).stop().runToEnd();
    },
  },
  {
    name: 'reload-stopped',
    title: 'SIGTERM in the middle of a reload, with a scale waiting for it.',
    options: { policy: soaked, play: () => ({ drain: 300 }) },
    script: (cluster) => {
      cluster.start().run(2_000).reload();
      cluster.ask({ type: 'scale', by: 'SIGTTIN', change: { add: 1 } });
      cluster.run(650).stop().runToEnd();
    },
  },
  {
    name: 'hang-with-a-stack',
    title: 'A busy loop: its stack is taken a second before the kill, and all that is known is one entry.',
    options: {
      play: ({ slot, nth }) =>
        slot === 2 && nth === 1 ? { hang: 1_500, requests: [slow], capture: busy } : {},
    },
    script: (cluster) => cluster.start().run(8_000).stop().runToEnd(),
  },
  {
    name: 'spare-takes-over',
    title: 'A worker is killed by the kernel for memory; a spare takes over, and another spare is made.',
    options: {
      policy: { spares: 1 },
      play: ({ slot, nth }) =>
        slot === 1 && nth === 1
          ? { requests: [slow], crash: { after: 2_500, signal: 'SIGKILL', oomKills: 1 } }
          : {},
    },
    script: (cluster) => cluster.start().run(5_000).stop().runToEnd(),
  },
  {
    name: 'memory-is-short',
    title:
      'The cgroup runs out of memory: the fattest worker drains first, the next one comes when it is gone.',
    options: {
      policy: { memory: { maxRss: null, maxHeap: 0, pressure: 0.9 } },
      play: ({ slot, nth }) => ({
        drain: 700,
        heartbeat: (served) => ({ rssBytes: (slot === 2 && nth === 1 ? 50 + served / 20 : 50) * 2 ** 20 }),
      }),
    },
    script: (cluster) => {
      cluster.start().run(3_500);
      for (const used of [800, 920, 950, 960, 700]) {
        cluster.post({ type: 'memory', used: used * 2 ** 20, limit: 1_000 * 2 ** 20, stalled: 0 });
        cluster.run(1_000);
      }
      cluster.stop().runToEnd();
    },
  },
  {
    name: 'suspects-in-the-cell',
    title:
      'Workers die of one kind of request; from then on only the cell does. A reload replaces it, and it ends once it lives.',
    options: {
      policy: {
        poison: { deaths: 2, block: 20_000, cell: 'on' },
        restart: { intensity: 3 },
        reload: { soak: 500 },
      },
      play: ({ slot, isCell, nth, generation }) => {
        if (isCell)
          return generation > 1 ? {} : { crash: { after: 1_000 * nth, code: 3, lastWord: [deadly] } };
        const dies = slot === 1 && generation === 1 && nth <= 2;
        return {
          requests: [{ ...deadly, path: '/usual' }],
          ...(dies ? { crash: { after: 8_000, code: 3, lastWord: [deadly] } } : {}),
        };
      },
    },
    script: (cluster) => {
      cluster.start().run(21_000).reload();
      cluster.run(26_000).stop().runToEnd();
    },
  },
];
