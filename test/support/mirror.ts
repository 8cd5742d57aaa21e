import type { MirrorAnswer, MirrorPair } from '../../src/protocol/mirror.js';

export const anyAnswer: MirrorAnswer = { status: 200, type: 'text/html', length: 100, tookMs: 3 };

/** Both have answered alike. */
export const anyPair: MirrorPair = {
  method: 'GET',
  path: '/a',
  old: anyAnswer,
  canary: { outcome: 'answered', ...anyAnswer, waitedMs: 0 },
};
