import * as v from 'valibot';
import type { FleetStats, RolloutLine } from '../protocol/fleet.js';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const counted = (about: string) => v.pipe(count, v.description(about));
const text = (about: string) => v.pipe(v.string(), v.description(about));
const names = (about: string) => v.pipe(v.array(v.string()), v.description(about));

const FleetHost = v.strictObject({
  host: v.string(),
  self: v.pipe(v.boolean(), v.description('Whether it is the one that answers.')),
  present: v.pipe(v.boolean(), v.description('Whether it was heard within 16 s.')),
  heardAgoMs: counted('Since it was heard, by the clock of Redis.'),
  version: v.string(),
  status: v.picklist(['starting', 'serving', 'stopping']),
  generation: count,
  release: v.pipe(v.nullable(v.string()), v.description("The app's path; null: the built-in app.")),
  wanted: counted('Workers.'),
  ready: count,
  restarts: count,
  requests: count,
  requestsPerSecond: v.number(),
  inFlight: count,
  rssBytes: counted('Of master and workers.'),
  uptimeSeconds: count,
  lastReload: v.nullable(v.strictObject({ verdict: v.nullable(v.string()), atMs: v.number() })),
});

export const fleetAnswers = {
  FleetHost,
  Fleet: v.strictObject({
    name: v.string(),
    host: text('The one that answers.'),
    redis: v.strictObject({
      address: text('Without user and password.'),
      connected: v.boolean(),
      lostForSeconds: v.nullable(count),
    }),
    hosts: v.array(FleetHost),
    reloading: v.pipe(v.nullable(v.string()), v.description('The host whose turn it is to reload.')),
  }) satisfies v.GenericSchema<unknown, FleetStats>,
  RolloutLine: v.variant('type', [
    v.strictObject({
      type: v.literal('plan'),
      hosts: names('In their order.'),
      away: names('Hosts that are not heard, and are left out.'),
    }),
    v.strictObject({ type: v.literal('begins'), host: v.string() }),
    v.strictObject({ type: v.literal('ended'), host: v.string(), ok: v.boolean(), message: v.string() }),
    v.strictObject({
      type: v.literal('over'),
      ok: v.boolean(),
      message: text('In words.'),
      done: names('Hosts with the new state.'),
      failed: v.pipe(v.nullable(v.string()), v.description('The host with the bad verdict.')),
      untouched: names('Hosts that were left as they were.'),
    }),
  ]) satisfies v.GenericSchema<unknown, RolloutLine>,
};

export const fleetExamples = {
  Fleet: {
    name: 'shop',
    host: 'web-1',
    redis: { address: 'rediss://redis.example.com:6379', connected: true, lostForSeconds: null },
    hosts: [
      {
        host: 'web-1',
        self: true,
        present: true,
        heardAgoMs: 1_204,
        version: '0.1.0',
        status: 'serving',
        generation: 3,
        release: '/srv/app/releases/42/server.js',
        wanted: 4,
        ready: 4,
        restarts: 0,
        requests: 81_204,
        requestsPerSecond: 310,
        inFlight: 7,
        rssBytes: 412_000_000,
        uptimeSeconds: 86_400,
        lastReload: { verdict: 'done', atMs: 1_795_000_000_000 },
      },
    ],
    reloading: null,
  } satisfies FleetStats,
  RolloutLine: {
    plan: { type: 'plan', hosts: ['web-1', 'web-2'], away: [] },
    begins: { type: 'begins', host: 'web-1' },
    ended: { type: 'ended', host: 'web-1', ok: true, message: 'done' },
    over: {
      ...{ type: 'over', ok: true, message: '2 of 2 hosts: web-1, web-2', done: ['web-1', 'web-2'] },
      ...{ failed: null, untouched: [] },
    },
  } as const satisfies Record<RolloutLine['type'], RolloutLine>,
};
