import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { spending } from '../../../src/costs/spending.js';
import type { RouteCost } from '../../../src/protocol/route-cost.js';
import {
  costlyServices,
  evenServices,
  type Spending,
  simulateSpending,
} from '../../support/spending-service.js';

/** Each of these services with so many seeds; COST_RUNS has more of them, `make bench-routes` fresh ones. */
const runs = Number(process.env.COST_RUNS ?? 6);

function found(service: Omit<Spending, 'seed'>): readonly (readonly RouteCost[])[] {
  return Array.from(
    { length: runs },
    (_, seed) => spending(simulateSpending({ seed: seed + 1, ...service }))?.routes ?? [],
  );
}

function namesOf(routes: readonly RouteCost[]): readonly string[] {
  return routes.filter(({ heavy }) => heavy !== null).map(({ kind }) => kind);
}

describe('the route that costs most, among twenty', () => {
  for (const [name, { route, service }] of Object.entries(costlyServices)) {
    it(`is named, and no other: ${name}`, () => {
      const all = found(service);
      const named = all.map(namesOf);
      const right = named.filter(([first]) => first === `GET /route${route}`).length;
      assert.ok(right >= Math.floor(0.95 * runs) - 1, JSON.stringify(named));
      assert.ok(
        named.every(({ length }) => length <= 1),
        JSON.stringify(named),
      );
      // While no worker has a moment to spare, what the process takes by itself is counted to the requests.
      if (service.saturated) return;
      const what = service.loop === undefined ? 'cpu' : 'loop';
      const truth = (service.loop ?? service.cpu)?.[route] ?? assert.fail();
      const holding = all.filter((routes) => {
        const cost = routes.find(({ kind }) => kind === `GET /route${route}`)?.[what];
        return cost !== undefined && cost.lowMs <= truth && truth <= cost.highMs;
      });
      assert.ok(holding.length >= Math.floor(0.9 * runs) - 1, JSON.stringify(all.map(([worst]) => worst)));
    });
  }

  it('is named with what one request takes', () => {
    const costs = spending(simulateSpending({ seed: 1, cpu: { 7: 180 } }));
    const [worst] = costs?.routes ?? [];
    assert.ok(worst !== undefined && costs !== null);
    const { cpu, heavy } = worst;
    assert.equal(worst.kind, 'GET /route7');
    assert.equal(heavy, 'cpu');
    assert.ok(cpu.lowMs <= 180 && 180 <= cpu.highMs && cpu.highMs - cpu.lowMs < 90, JSON.stringify(cpu));
    assert.ok(cpu.share > 0.6 && cpu.share < 0.95, JSON.stringify(cpu));
    assert.ok(costs.restShare < 0.2, String(costs.restShare));
    assert.equal(costs.routes.length, 20);
  });

  it('takes the event loop where it waits there: its CPU is as that of the others', () => {
    for (const routes of found({ loop: { 5: 100 } })) {
      const worst = routes.find(({ heavy }) => heavy !== null);
      assert.equal(worst?.heavy, 'loop');
      assert.equal(worst?.kind, 'GET /route5');
    }
  });
});

describe('the route that blocks the event loop', () => {
  it('is the one that takes long in one piece', () => {
    const blocking = found({ cpu: { 7: 180 } }).map((routes) =>
      routes.filter(({ blocks }) => blocks).map(({ kind }) => kind),
    );
    assert.deepEqual(
      blocking,
      blocking.map(() => ['GET /route7']),
    );
  });

  it('is not one that takes as long in short pieces', () => {
    for (const routes of found({ cpu: { 7: 180 }, pieces: { 7: 4 } })) {
      assert.deepEqual(
        routes.filter(({ blocks }) => blocks),
        [],
      );
      assert.deepEqual(namesOf(routes), ['GET /route7']);
    }
  });

  it('is not one that is asked together with another that blocks: the delay may be that of the other', () => {
    for (const routes of found({ cpu: { 0: 60, 7: 180 }, pieces: { 0: 3 } })) {
      assert.ok(!routes.some(({ kind, blocks }) => kind === 'GET /route0' && blocks));
    }
  });
});

describe('no route is named', () => {
  for (const [name, service] of Object.entries(evenServices)) {
    it(name, () => {
      const accused = found(service)
        .map(namesOf)
        .filter(({ length }) => length > 0);
      assert.ok(accused.length <= runs / 100, JSON.stringify(accused));
    });
  }

  it('before there is enough to tell', () => {
    const all = simulateSpending({ seed: 1, cpu: { 4: 180 } });
    assert.equal(spending(all.slice(0, 12)), null);
    assert.equal(spending([]), null);
  });

  it('where two are always asked together: nobody can tell their parts', () => {
    const together = simulateSpending({ seed: 1, cpu: { 4: 180 } }).map((work) => ({
      ...work,
      counts: { ...work.counts, 'GET /twin': work.counts['GET /route4'] ?? 0 },
    }));
    const kinds = (spending(together)?.routes ?? []).map(({ kind }) => kind);
    assert.ok(!kinds.includes('GET /twin') && !kinds.includes('GET /route4'), JSON.stringify(kinds));
    assert.ok(kinds.includes('GET /route3'));
  });
});

it('what no request explains is told apart', () => {
  const { restShare } = spending(simulateSpending({ seed: 3, base: 200 })) ?? { restShare: 0 };
  assert.ok(restShare > 0.5 && restShare < 0.9, String(restShare));
});

it('of many kinds the commonest are told apart, and the others do not spoil it', () => {
  const costs = spending(simulateSpending({ seed: 1, routes: 150, cpu: { 3: 100 } }));
  assert.deepEqual(namesOf(costs?.routes ?? []), ['GET /route3']);
  assert.equal(costs?.routes.length, 20);
});
