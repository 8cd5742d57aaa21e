import type { Event } from '../../../src/core/events.js';
import type { Policy } from '../../../src/core/policy.js';
import type { Worker } from '../../../src/core/state.js';
import type { Heartbeat } from '../../../src/protocol/heartbeat.js';
import type { Millis } from '../../../src/protocol/limits.js';
import type { WorkerKey } from '../../../src/protocol/messages.js';
import { anyAnswer, anyPair } from '../../support/mirror.js';
import { simHeartbeat } from '../sim-policy.js';
import { type Core, littleLoad, type Move, muchLoad, rssOfIll, type World } from './world.js';

const [rssAtFirst, rssOfGrown] = [50 * 2 ** 20, 100 * 2 ** 20];

/** Everything that can happen next. */
export function moves(core: Core, world: World, policy: Policy): readonly Move[] {
  const { phase } = world.state.life;
  if (phase === 'ended') return [];
  if (phase === 'idle') return [{ words: 'start', events: [{ type: 'start' }] }, ...stops];
  return [
    ...world.state.workers.flatMap((worker) => [
      ...workerMoves(world, worker),
      ...silenceMoves(world, worker),
    ]),
    ...memoryMoves(world),
    ...loadMoves(world),
    ...probeMoves(world),
    ...mirrorMoves(world),
    ...commandMoves(world),
    ...stops,
    passing(core, world, policy),
  ];
}

/** Time passes to the next deadline; who is well has sent a heartbeat by then. */
export function passing(core: Core, world: World, policy: Policy, isWell = true): Move {
  const { state, now, hung } = world;
  const next = Math.max(now, core.nextDeadline(state, policy) ?? now);
  const heartbeats = state.workers
    .filter((worker) => isWell && sendsHeartbeats(worker) && !hung.includes(worker.key))
    .map(
      (worker): Event => ({
        type: 'heartbeat',
        key: worker.key,
        heartbeat: heartbeatOf(world, worker, next),
      }),
    );
  const relief: readonly Event[] = state.pressure.readings > 0 ? [reading(0)] : [];
  return { words: `${next - now} ms pass`, events: [...relief, ...heartbeats, { type: 'tick' }], now: next };
}

export function workerMoves({ hung, left }: World, worker: Worker): readonly Move[] {
  const { key, phase } = worker;
  const exits = exit(worker, phase === 'draining' ? 0 : 1);
  const crash = left.crashes > 0 ? [{ ...exits, costs: 'crashes' as const }] : [];
  const hang: Move = { words: `worker #${key} falls silent`, events: [], hangs: key, costs: 'hangs' };
  if (phase === 'dying') return [exits];
  if (hung.includes(key)) return crash;
  const silence = left.hangs > 0 ? [hang] : [];
  if (phase === 'starting') return [worker.role.kind === 'spare' ? booted(worker) : ready(worker), ...crash];
  if (phase === 'ready' || phase === 'spare') return [...crash, ...silence];
  return worker.closed ? [exits, ...silence] : [closed(worker), exits, ...silence];
}

/** What is found out about the silent, and that they speak again; and workers that grow out of their limit. */
function silenceMoves({ hung, ill, left }: World, { key, phase, vitals }: Worker): readonly Move[] {
  if (phase !== 'ready' && phase !== 'spare') return [];
  const sickens: Move = {
    words: `worker #${key} grows too large`,
    events: [],
    sickens: key,
    costs: 'illnesses',
  };
  if (!hung.includes(key)) {
    return left.illnesses > 0 && phase === 'ready' && !ill.includes(key) ? [sickens] : [];
  }
  const heartbeat: Event = { type: 'heartbeat', key, heartbeat: simHeartbeat() };
  const recovers: Move = {
    words: `worker #${key} speaks again`,
    events: [heartbeat],
    recovers: key,
    costs: 'recoveries',
  };
  const { silence } = vitals;
  return [
    ...(silence !== null && silence.capture === null ? captures(key) : []),
    ...(left.recoveries > 0 ? [recovers] : []),
  ];
}

function captures(key: WorkerKey): readonly Move[] {
  return (['running', 'starved'] as const).map((state) => ({
    words: `worker #${key} is found ${state}`,
    events: [
      { type: 'captured', key, capture: { state, stack: null, at: null, requests: null, detail: null } },
    ],
  }));
}

function memoryMoves({ left }: World): readonly Move[] {
  const high = [reading(1), reading(1), reading(1)];
  return left.shortages > 0 ? [{ words: 'the memory is short', events: high, costs: 'shortages' }] : [];
}

function loadMoves({ left, load }: World): readonly Move[] {
  if (left.loads === 0) return [];
  const comes = load === littleLoad;
  const events: readonly Event[] = comes ? [{ type: 'queue', waiting: 100 }] : [];
  return [
    {
      words: comes ? 'a load comes' : 'the load goes',
      events,
      load: comes ? muchLoad : littleLoad,
      costs: 'loads',
    },
  ];
}

function reading(used: number): Event {
  return { type: 'memory', used, limit: 1, stalled: null };
}

export function booted({ key }: Worker): Move {
  return { words: `spare #${key} has booted`, events: [{ type: 'spare', key }] };
}

export function ready({ key }: Worker): Move {
  return { words: `worker #${key} is ready`, events: [{ type: 'ready', key, urls: [] }] };
}

export function exit({ key }: Worker, code: number): Move {
  return { words: `worker #${key} ends with ${code}`, events: [{ type: 'exited', key, code, signal: null }] };
}

function closed({ key }: Worker): Move {
  return { words: `worker #${key} has closed`, events: [{ type: 'closed', key, inFlight: 0, accepted: 0 }] };
}

/** The canary's answers to its probe, where one is awaited. */
export function probeMoves({ state, hung }: World): readonly Move[] {
  const stage = state.reload?.stage;
  if (stage?.name !== 'soak' || stage.probeBy === null || hung.includes(stage.key)) return [];
  return [null, 'status 500'].map((failure) => ({
    words: failure === null ? 'the canary answers' : 'the canary fails its probe',
    events: [{ type: 'probed', key: stage.key, failure, tookMs: 1 }],
  }));
}

/** What comes of a canary that is mirrored: it can be asked or not, and does as well as the others or fails. */
export function mirrorMoves({ state, hung }: World): readonly Move[] {
  const stage = state.reload?.stage;
  if (stage?.name !== 'mirror' || hung.includes(stage.key)) return [];
  const { key } = stage;
  if (stage.openedAt === null) {
    return [null, 'no server'].map((failure) => ({
      words: failure === null ? 'the canary can be asked' : 'the canary cannot be asked',
      events: [{ type: 'mirror-opened', key, failure }],
    }));
  }
  const answered = { outcome: 'answered', ...anyAnswer, waitedMs: 0 } as const;
  return [200, 500].map((status) => ({
    words: `the canary answers with ${status}, many times`,
    events: Array.from(
      { length: 45 },
      (): Event => ({
        type: 'mirrored',
        key,
        pair: { ...anyPair, canary: { ...answered, status } },
      }),
    ),
  }));
}

function commandMoves({ state, left, next }: World): readonly Move[] {
  const asked = { request: 7, by: 'alice' };
  const reload = (soak: boolean, rollback: boolean): Move => ({
    words: `reload${soak ? '' : ', no soak'}${rollback ? '' : ', no rollback'}`,
    events: [
      { type: 'reload', serial: next, generation: next, release: '/srv', at: 0, soak, rollback, ...asked },
    ],
    costs: 'reloads',
  });
  const scale = (add: number): Move => ({
    words: `scale by ${add}`,
    events: [{ type: 'scale', change: { add }, ...asked }],
    costs: 'scales',
  });
  const restarts = state.slots.map(
    ({ id }): Move => ({
      words: `restart worker ${id}`,
      events: [{ type: 'restart', slot: id, ...asked }],
      costs: 'restarts',
    }),
  );
  const abort: Move = { words: 'abort', events: [{ type: 'abort', ...asked }] };
  return [
    ...(left.reloads > 0 ? [reload(true, true), reload(false, true), reload(true, false)] : []),
    ...(left.scales > 0 ? [scale(1), scale(-1)] : []),
    ...(left.restarts > 0 ? restarts : []),
    ...(state.reload === null ? [] : [abort]),
  ];
}

const stops: readonly Move[] = [false, true].map((now) => ({
  words: now ? 'stop at once' : 'stop',
  events: [{ type: 'stop', why: 'SIGTERM', now }],
}));

function sendsHeartbeats({ phase }: Worker): boolean {
  return phase === 'ready' || phase === 'spare' || phase === 'draining';
}

/** Everybody has answered something since, and grows from the second heartbeat on. */
function heartbeatOf({ ill, load }: World, { key, vitals }: Worker, now: Millis): Heartbeat {
  const rss = ill.includes(key) ? rssOfIll : vitals.firstRss === null ? rssAtFirst : rssOfGrown;
  return simHeartbeat({ answers: now, rssBytes: rss, eventLoopUtilization: load });
}
