import type { Estimate, RouteCost } from '../../src/protocol/route-cost.js';

export const anyEstimate: Estimate = { ms: 180, lowMs: 170, highMs: 190, share: 0.61 };

export const anyCost: RouteCost = {
  kind: 'GET /report',
  requests: 312,
  cpu: anyEstimate,
  loop: { ms: 176, lowMs: 167, highMs: 185, share: 0.6 },
  blocks: true,
  heavy: 'cpu',
  where: null,
};
