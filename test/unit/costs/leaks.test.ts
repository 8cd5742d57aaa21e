import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { leaks } from '../../../src/costs/leaks.js';
import {
  type Leaking,
  leakingServices,
  simulateService,
  tightServices,
} from '../../support/leaking-service.js';

const mebibyte = 2 ** 20;

/** Each of these services with so many seeds; LEAK_RUNS has more of them, `make bench-routes` fresh ones. */
const runs = Number(process.env.LEAK_RUNS ?? 6);

function found(service: Omit<Leaking, 'seed'>): readonly (readonly string[])[] {
  return Array.from({ length: runs }, (_, seed) =>
    leaks(simulateService({ seed: seed + 1, ...service })).map(({ kind }) => kind),
  );
}

describe('the route that leaks, among twenty', () => {
  for (const [name, service] of Object.entries(leakingServices)) {
    it(`is named, and no other: ${name}`, () => {
      const [route] = Object.keys(service.leaking ?? {});
      const named = found(service);
      const right = named.filter(([first]) => first === `GET /route${route}`).length;
      assert.ok(right >= Math.floor(0.95 * runs) - 1, JSON.stringify(named));
      assert.ok(
        named.every(({ length }) => length <= 1),
        JSON.stringify(named),
      );
    });
  }

  it('is named with what stays of each request', () => {
    const [leak] = leaks(simulateService({ seed: 2, leaking: { 4: 0.5 * mebibyte } }));
    assert.ok(leak !== undefined);
    assert.ok(leak.lowBytes <= 0.5 * mebibyte && 0.5 * mebibyte <= leak.highBytes, JSON.stringify(leak));
    assert.ok(leak.highBytes - leak.lowBytes < 0.1 * mebibyte, JSON.stringify(leak));
    assert.ok(leak.share > 0.9, JSON.stringify(leak));
  });

  it('has another beside it where two leak, the worse one first', () => {
    const leaking = { 2: 0.3 * mebibyte, 9: mebibyte };
    assert.deepEqual(
      leaks(simulateService({ seed: 1, leaking })).map(({ kind }) => kind),
      ['GET /route9', 'GET /route2'],
    );
  });
});

describe('nobody is accused', () => {
  for (const [name, service] of Object.entries(tightServices)) {
    it(name, () => {
      const accused = found(service).filter(({ length }) => length > 0);
      assert.ok(accused.length <= runs / 100, JSON.stringify(accused));
    });
  }

  it('before there is enough to tell', () => {
    const all = simulateService({ seed: 1, leaking: { 4: mebibyte } });
    assert.deepEqual(leaks(all.slice(0, 4)), []);
    assert.deepEqual(leaks([]), []);
  });
});
