import { duration, integer, oneOf, setting, text, words } from './kinds.js';

const second = 1000;
const hour = 3600 * second;

/** The section `[reload]`: what the canary has to do. */
export const reloadSection = {
  'reload.soak': setting({
    kind: duration({ min: 100, max: hour, zero: 'not at all' }),
    default: 5 * second,
    readers: ['policy'],
    description:
      'How long the canary, the first worker of a new generation, serves beside the old workers before the master replaces them. 0: not at all.',
  }),
  'reload.probe': setting({
    kind: text({
      pattern: /^(none|\/[\x21-\x7e]*)$/,
      expected: 'a path that begins with "/", such as "/healthz", or "none"',
    }),
    default: null,
    computed: true,
    defaultText: '`/`; for the built-in app `/healthz`; with `kind` `process` `none`',
    example: '/healthz',
    nothing: 'none',
    readers: ['policy'],
    description:
      'Path that the canary must answer (GET) with a status below 500. `none`: no request is made.',
  }),
  'reload.probe_timeout': setting({
    kind: duration({ min: 100, max: hour }),
    default: 5 * second,
    readers: ['policy'],
    description: 'How long the canary may take to answer `reload.probe`.',
  }),
  'reload.max_errors': setting({
    kind: integer({ min: 0, max: 100, unit: '%' }),
    default: 5,
    readers: ['policy'],
    description:
      'How much higher the error rate of the canary (responses with a status of 500 or more) may be than that of the old workers, in percentage points.',
  }),
  'reload.max_latency': setting({
    kind: integer({ min: 1, max: 1000 }),
    default: 4,
    readers: ['policy'],
    description:
      "How many times the old workers' 90th percentile of response time the canary's may reach. Up to 100 ms is always accepted.",
  }),
  'reload.mirror': setting({
    kind: oneOf('off', 'safe'),
    default: 'off',
    readers: ['policy'],
    description:
      '`safe`: before the canary takes a client, it is asked a part of the GET and HEAD requests that the old workers have just answered, and its answers are compared with theirs and thrown away. See [mirror](../how-to/mirror.md), and what an app must not do in a GET.',
  }),
  'reload.mirror_routes': setting({
    kind: words({
      expected:
        'paths that begin with "/", with "*" at the end for all that begins so, and with "!" before those that are left out, such as ["/products/*", "!/products/export"]',
      each: (word) => /^!?\/[\x21-\x29\x2b-\x7e]*\*?$/.test(word),
    }),
    default: [],
    example: ['/', '/products/*', '!/products/export'],
    readers: ['policy'],
    description:
      'Paths that may be mirrored, without their query. Empty, or with `!` alone: every path that is not left out.',
  }),
  'reload.mirror_credentials': setting({
    kind: oneOf('off', 'on'),
    default: 'off',
    readers: ['policy'],
    description:
      '`on`: requests with `Authorization`, `Cookie` or another field whose name tells of a key, a token or a session are mirrored as well.',
  }),
  'reload.mirror_rate': setting({
    kind: integer({ min: 1, max: 1000 }),
    default: 50,
    readers: ['policy'],
    description: 'Requests a second that the canary is asked at most.',
  }),
  'reload.mirror_requests': setting({
    kind: integer({ min: 30, max: 100_000 }),
    default: 200,
    readers: ['policy'],
    description:
      'So many requests are compared. Fewer than 100 do not show a release that fails one request in five.',
  }),
  'reload.mirror_time': setting({
    kind: duration({ min: 3 * second, max: hour }),
    default: 30 * second,
    readers: ['policy'],
    description:
      'How long `reload.mirror` takes at most. With fewer than 30 requests by then the reload goes on without a verdict, as it would without a mirror.',
  }),
  'reload.mirror_differences': setting({
    kind: integer({ min: 0, max: 100, unit: '%' }),
    default: 100,
    readers: ['policy'],
    description:
      "Share of the mirrored answers that may have another content type or another length (more than twice, or less than half) than the old workers'. 100: they are counted, and no reason to roll back.",
  }),
} as const;
