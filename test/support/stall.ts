import type { Stall } from '../../src/protocol/stall.js';

/** One of the app's own code, for tests that need any. */
export const anyStall: Stall = {
  tookMs: 812,
  cause: 'code',
  gcMs: 0,
  notRunMs: 0,
  function: 'checkout',
  file: '/srv/app/server.js',
  line: 12,
  column: 5,
  exact: true,
  share: 1,
  looks: 1,
  stack: null,
  requests: [],
  more: 0,
};
