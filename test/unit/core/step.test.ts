import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Effect } from '../../../src/core/effects.js';
import type { Event } from '../../../src/core/events.js';
import { initialState } from '../../../src/core/state.js';
import { nextDeadline } from '../../../src/core/step.js';
import { lives } from '../../simulation/lives.js';
import { SimCluster } from '../../simulation/sim-cluster.js';
import { simHeartbeat } from '../../simulation/sim-policy.js';
import { pureStep } from '../../simulation/step.js';
import { anyPair } from '../../support/mirror.js';
import { anyCost } from '../../support/route-cost.js';
import { anyStall } from '../../support/stall.js';

/** Worker 1 in each of its phases, in a master that serves unless the phase says otherwise. */
const workers = {
  unknown: () =>
    new SimCluster({ play: ({ key }) => (key === 1 ? { crash: { after: 100 } } : {}) }).start().run(500),
  starting: () =>
    new SimCluster({
      play: ({ slot, nth }) =>
        slot === 1 && nth === 1 ? { crash: { after: 100 } } : nth > 1 ? { boot: null } : {},
    })
      .start()
      .run(500),
  ready: () => new SimCluster({ play: () => ({ hang: 1 }) }).start().run(500),
  silent: () => new SimCluster({ play: () => ({ hang: 1, captureTakes: 1_000 }) }).start().run(4_500),
  draining: () => lives.stopping(),
  spare: () => new SimCluster({ policy: { spares: 1 } }).start().run(500),
  dying: () =>
    new SimCluster({
      policy: { bootTimeout: 1_000 },
      play: ({ slot, nth }) =>
        slot === 1 ? (nth === 1 ? { crash: { after: 100 } } : { boot: null, immortal: true }) : {},
    })
      .start()
      .run(2_000),
  hung: () =>
    new SimCluster({ play: ({ key }) => (key === 1 ? { hang: 1, immortal: true } : {}) }).start().run(7_000),
} satisfies Record<string, () => SimCluster>;

function events(key: number): Readonly<Record<Event['type'], Event>> {
  const failure = { message: 'boom', exitCode: 70 };
  const asked = { request: 1, by: 'alice' };
  return {
    start: { type: 'start' },
    alone: { type: 'alone' },
    retire: { type: 'retire', why: 'process 5 has taken over', patience: 60_000 },
    forked: { type: 'forked', key, pid: 4242 },
    'fork-failed': { type: 'fork-failed', key, failure },
    waits: { type: 'waits', key, port: 3000 },
    ready: { type: 'ready', key, urls: [] },
    failed: { type: 'failed', key, failure },
    heartbeat: { type: 'heartbeat', key, heartbeat: simHeartbeat({ requests: 7 }) },
    closed: { type: 'closed', key, inFlight: 1, accepted: 2 },
    probed: { type: 'probed', key, failure: null, tookMs: 3 },
    reload: {
      type: 'reload',
      serial: 1,
      generation: 2,
      release: '/srv/2',
      at: 0,
      soak: true,
      rollback: true,
      ...asked,
    },
    abort: { type: 'abort', ...asked },
    scale: { type: 'scale', change: { to: 1 }, ...asked },
    restart: { type: 'restart', slot: 7, ...asked },
    drained: { type: 'drained', key },
    spare: { type: 'spare', key },
    current: { type: 'current', key, inFlight: 1, requests: [] },
    captured: {
      type: 'captured',
      key,
      capture: { state: 'running', stack: null, at: null, requests: null, detail: null },
    },
    proved: { type: 'proved', key },
    excused: { type: 'excused', key, for: 5_000 },
    stalled: {
      type: 'stalled',
      key,
      stall: anyStall,
    },
    costs: {
      type: 'costs',
      heavy: [anyCost],
    },
    leaks: {
      type: 'leaks',
      leaks: [{ kind: 'GET /a', bytesPerRequest: 2, lowBytes: 1, highBytes: 3, share: 1 }],
    },
    memory: { type: 'memory', used: 1, limit: 2, stalled: null },
    queue: { type: 'queue', waiting: 3 },
    'mirror-opened': { type: 'mirror-opened', key, failure: null },
    mirrored: { type: 'mirrored', key, pair: anyPair },
    cut: { type: 'cut', key, requests: 1, connections: 1 },
    exited: { type: 'exited', key, code: 1, signal: null },
    stop: { type: 'stop', why: 'SIGTERM', now: false },
    tick: { type: 'tick' },
  };
}

/**
 * What an event leads to: `ignored` (the very same state, nothing done), `noted` (the state alone changed), or the
 * effects by their kind, in their order.
 */
function answer(cluster: SimCluster, event: Event): string {
  const before = cluster.state;
  const effects = cluster.post(event);
  if (effects.length > 0) return effects.map(kindOf).join(' ');
  return cluster.state === before ? 'ignored' : 'noted';
}

function kindOf(effect: Effect): string {
  if (effect.type === 'log') return effect.level;
  if (effect.type !== 'notify') return effect.type;
  const { type, ...said } = effect;
  return `notify(${Object.keys(said).join(',')})`;
}

/** The answers to every event, about the worker with this key. */
function row(make: () => SimCluster, key: number): Record<string, string> {
  const { alone, retire, ...rest } = events(key);
  return Object.fromEntries(Object.entries(rest).map(([type, event]) => [type, answer(make(), event)]));
}

/** The same, without the events that are about no worker. */
function workerRow(make: () => SimCluster, key: number): Record<string, string> {
  const { start, stop, tick, reload, ...others } = row(make, key);
  const { abort, scale, restart, memory, queue, leaks, costs, ...rest } = others;
  return rest;
}

const nobodyKnown = {
  forked: 'ignored',
  'fork-failed': 'ignored',
  waits: 'ignored',
  ready: 'ignored',
  failed: 'ignored',
  heartbeat: 'ignored',
  closed: 'ignored',
  drained: 'ignored',
  cut: 'ignored',
  exited: 'ignored',
  probed: 'ignored',
  'mirror-opened': 'ignored',
  mirrored: 'ignored',
  spare: 'ignored',
  current: 'ignored',
  captured: 'ignored',
  proved: 'ignored',
  excused: 'ignored',
  stalled: 'ignored',
};

/** A reload is under way: a scale waits for it, and a stop leaves its record. */
const inReload = {
  reload: 'answer warn',
  abort: 'answer warn',
  scale: 'answer',
  restart: 'answer warn',
  costs: 'info',
  leaks: 'warn',
  memory: 'ignored',
  queue: 'ignored',
  start: 'ignored',
  stop: 'step record warn notify(stopping,status,extend) info drain drain drain',
};

/** An answer, and a line in the log for those whom no answer reaches; and the memory is nobody's business yet. */
const allRefused = {
  costs: 'info',
  leaks: 'warn',
  memory: 'ignored',
  queue: 'ignored',
  reload: 'answer warn',
  abort: 'answer warn',
  scale: 'answer warn',
  restart: 'answer warn',
};

describe('step', () => {
  test('has another master take over in every phase in which the service serves', () => {
    const { alone, retire } = events(99);
    const answers = Object.entries(lives).map(([phase, make]) => [phase, answer(make(), retire)]);
    const inReload = 'step record warn info drain drain drain';
    assert.deepEqual(Object.fromEntries(answers), {
      ...{ idle: 'ignored', starting: 'ignored', failing: 'ignored', stopping: 'ignored', ended: 'ignored' },
      ...{ serving: 'info drain drain', leaving: 'info drain drain' },
      ...{ canary: inReload, soaking: inReload, rolling: inReload, rollback: inReload },
      mirrored: `mirror mirror ${inReload}`,
    });
    for (const make of Object.values(lives)) assert.equal(answer(make(), alone), 'ignored');
  });

  test('answers every event in every phase of life, of workers that nobody knows too', () => {
    const answers = Object.fromEntries(Object.entries(lives).map(([phase, make]) => [phase, row(make, 99)]));
    assert.deepEqual(answers, {
      idle: {
        ...nobodyKnown,
        ...allRefused,
        start: 'fork fork notify(status,extend)',
        stop: 'exit',
        tick: 'ignored',
      },
      starting: {
        ...nobodyKnown,
        ...allRefused,
        start: 'ignored',
        stop: 'notify(stopping,status,extend) info drain drain',
        tick: 'noted',
      },
      serving: {
        ...nobodyKnown,
        ...allRefused,
        reload: 'answer notify(reloading,status) info step fork step ask-heartbeat ask-heartbeat',
        scale: 'answer info debug drain notify(status)',
        start: 'ignored',
        stop: 'notify(stopping,status,extend) info drain drain',
        tick: 'noted',
      },
      leaving: { ...nobodyKnown, ...allRefused, start: 'ignored', stop: 'ignored', tick: 'noted' },
      stopping: { ...nobodyKnown, ...allRefused, start: 'ignored', stop: 'info', tick: 'noted' },
      failing: { ...nobodyKnown, ...allRefused, start: 'ignored', stop: 'info', tick: 'noted' },
      ended: { ...nobodyKnown, ...allRefused, start: 'ignored', stop: 'ignored', tick: 'ignored' },
      canary: {
        ...nobodyKnown,
        ...inReload,
        abort:
          'answer error step kill notify(status) step record warn notify(ready,status) ask-heartbeat ask-heartbeat',
        tick: 'noted',
      },
      soaking: {
        ...nobodyKnown,
        ...inReload,
        abort:
          'answer error step notify(status) debug drain step step record warn notify(ready,status) ask-heartbeat ask-heartbeat',
        tick: 'noted',
      },
      mirrored: {
        ...nobodyKnown,
        ...inReload,
        abort:
          'answer mirror mirror error step kill notify(status) step record warn notify(ready,status) ask-heartbeat ask-heartbeat',
        stop: 'mirror mirror step record warn notify(stopping,status,extend) info drain drain drain',
        tick: 'noted',
      },
      rolling: {
        ...nobodyKnown,
        ...inReload,
        abort: 'answer error step kill notify(status) fork step',
        tick: 'noted',
      },
      rollback: {
        ...nobodyKnown,
        ...inReload,
        abort: 'answer step record warn notify(ready,status) ask-heartbeat ask-heartbeat',
        tick: 'noted',
      },
    });
  });

  test('answers every event of a worker in every phase of the worker', () => {
    assert.deepEqual(workerRow(workers.unknown, 1), nobodyKnown);
    assert.deepEqual(workerRow(workers.starting, 3), {
      ...nobodyKnown,
      forked: 'noted',
      'fork-failed': 'error notify(status)',
      waits: 'info',
      ready: 'info notify(status)',
      failed: 'noted',
      cut: 'warn',
      stalled: 'stall warn',
      current: 'noted',
      excused: 'noted',
      exited: 'error notify(status)',
    });
    assert.deepEqual(workerRow(workers.spare, 3), {
      ...nobodyKnown,
      forked: 'noted',
      'fork-failed': 'error notify(status)',
      failed: 'noted',
      heartbeat: 'noted',
      cut: 'warn',
      stalled: 'stall warn',
      current: 'noted',
      excused: 'noted',
      exited: 'error notify(status)',
    });
    assert.deepEqual(workerRow(workers.ready, 1), {
      ...nobodyKnown,
      forked: 'noted',
      'fork-failed': 'error notify(status)',
      failed: 'error notify(status) fork',
      heartbeat: 'noted',
      cut: 'warn',
      stalled: 'stall warn',
      current: 'noted',
      proved: 'noted',
      excused: 'noted',
      exited: 'error notify(status) fork',
    });
    assert.deepEqual(workerRow(workers.silent, 1), {
      ...nobodyKnown,
      forked: 'noted',
      'fork-failed': 'error notify(status)',
      failed: 'error notify(status) fork',
      heartbeat: 'noted',
      cut: 'warn',
      stalled: 'stall warn',
      current: 'noted',
      captured: 'noted',
      proved: 'noted',
      excused: 'noted',
      exited: 'error notify(status) fork',
    });
    assert.deepEqual(workerRow(workers.draining, 1), {
      ...nobodyKnown,
      forked: 'noted',
      'fork-failed': 'noted',
      failed: 'noted',
      heartbeat: 'noted',
      closed: 'noted',
      drained: 'noted',
      cut: 'warn',
      stalled: 'stall warn',
      current: 'noted',
      excused: 'noted',
      exited: 'warn',
    });
    assert.deepEqual(workerRow(workers.dying, 3), {
      ...nobodyKnown,
      forked: 'noted',
      'fork-failed': 'noted',
      failed: 'noted',
      cut: 'warn',
      stalled: 'stall warn',
      current: 'noted',
      exited: 'debug',
    });
    assert.deepEqual(workerRow(workers.hung, 1), {
      ...nobodyKnown,
      forked: 'noted',
      'fork-failed': 'noted',
      failed: 'noted',
      cut: 'warn',
      stalled: 'stall warn',
      current: 'noted',
      exited: 'debug',
    });
  });

  test('changes none of its inputs and answers the same inputs with the same outputs, in any order of events', () => {
    const { policy } = new SimCluster({ policy: { pingInterval: 300, log: { statsInterval: 2_000 } } });
    for (let seed = 1; seed <= 40; seed++) {
      const draw = generator(seed);
      const kinds: string[] = [];
      let state = initialState({ seed });
      for (let now = 0; now < 60_000; now += Math.floor(draw() * 700)) {
        const all = Object.values(events(1 + Math.floor(draw() * state.nextKey)));
        const drawn = all[Math.floor(draw() * all.length)];
        const event = drawn?.type === 'reload' ? { ...drawn, generation: now + 2 } : drawn;
        // A stop ends all the rest, so that it is kept for later.
        if (event === undefined || (event.type === 'stop' && now < 40_000)) continue;
        const [next, effects] = pureStep({ state, event, now, policy });
        state = next;
        kinds.push(...effects.map(kindOf));
        const deadline = nextDeadline(state, policy);
        const waits = state.life.phase !== 'idle' && state.life.phase !== 'ended';
        assert.equal(deadline !== null, waits, `${state.life.phase} waits for ${deadline}`);
      }
      for (const once of ['exit', 'serving']) {
        assert.ok(kinds.filter((kind) => kind === once).length <= 1, `more than one ${once}`);
      }
    }
  });
});

/** Not the core's own generator, whose faults would be shared. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}
