import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Rate, rates } from '../../../src/costs/rates.js';
import { randomBy } from '../../support/leaking-service.js';

/** So many spans of two causes, of which one request takes 10 and 2, and what else there was in each. */
function spans(count: number, extra: (at: number) => number = () => 0) {
  const random = randomBy(7);
  const x = Array.from({ length: count }, () => [Math.floor(random() * 20), Math.floor(random() * 40)]);
  const y = x.map(([dear = 0, cheap = 0], at) => 10 * dear + 2 * cheap + extra(at) + random() - 0.5);
  return { x, y };
}

function first(found: readonly Rate[] | null): Rate {
  return found?.[0] ?? assert.fail('there is no rate');
}

describe('what one unit of each cause takes', () => {
  it('is found, with an error that says how well', () => {
    const { x, y } = spans(60);
    const [dear, cheap] = rates(y, x) ?? [];
    assert.ok(dear !== undefined && cheap !== undefined);
    assert.ok(
      Math.abs(dear.slope - 10) < 0.1 && Math.abs(cheap.slope - 2) < 0.1,
      JSON.stringify([dear, cheap]),
    );
    assert.ok(dear.error > 0.001 && dear.error < 0.05, String(dear.error));
    assert.ok(dear.isApart && cheap.isApart);
  });

  it('is not told by fewer spans than causes, nor by as many', () => {
    assert.equal(rates([], []), null);
    const { x, y } = spans(2);
    assert.equal(rates(y, x), null);
    assert.notEqual(rates(spans(3).y, spans(3).x), null);
  });

  it('hardly depends on one span in which something else took a lot', () => {
    const { x, y } = spans(60, (at) => (at === 30 ? 100_000 : 0));
    assert.ok(Math.abs(first(rates(y, x)).slope - 10) < 1, JSON.stringify(rates(y, x)));
  });

  it('depends on requests that take very different times as their mean does', () => {
    // One in ten takes ten times as long as the others: 1.9 on average.
    const random = randomBy(3);
    const x = Array.from({ length: 400 }, () => [Math.floor(random() * 3)]);
    const y = x.map(([count = 0]) => {
      let sum = 1;
      for (let each = 0; each < count; each += 1) sum += random() < 0.1 ? 100 : 10;
      return sum;
    });
    const { slope, error } = first(rates(y, x));
    assert.ok(Math.abs(slope - 19) < 2 * error && error < 3, JSON.stringify({ slope, error }));
  });

  it('is not told apart where two causes always come together', () => {
    const { x, y } = spans(60);
    const twins = x.map(([dear = 0]) => [dear, dear]);
    assert.deepEqual(
      (rates(y, twins) ?? []).map(({ isApart }) => isApart),
      [false, false],
    );
  });
});

describe('the error of a rate', () => {
  it('falls with the root of the number of spans', () => {
    const [few, many] = [spans(50), spans(800)].map(({ x, y }) => first(rates(y, x)).error);
    const ratio = (few ?? 0) / (many ?? 1);
    assert.ok(ratio > 2.5 && ratio < 6.5, String(ratio));
  });

  it('is large where a cause was at work in one span only, whatever the others agree on', () => {
    const { x, y } = spans(60);
    const rare = x.map((row, at) => [...row, at === 10 ? 1 : 0]);
    const [, , once] =
      rates(
        y.map((value, at) => value + (at === 10 ? 50 : 0)),
        rare,
      ) ?? [];
    const [known] = rates(y, x) ?? [];
    assert.ok(once !== undefined && known !== undefined);
    assert.ok(once.error > 10 * known.error && once.error > 0.25, JSON.stringify([once, known]));
  });

  it('is that of the noise, where all spans are alike', () => {
    // Uniform noise of a width of 12 has a standard deviation of 3.46; that of the counts is 5.77.
    const random = randomBy(13);
    const x = Array.from({ length: 400 }, () => [20 + Math.floor(random() * 20), 1]);
    const { error } = first(
      rates(
        x.map(([count = 0]) => 100 * count + 12 * random()),
        x,
      ),
    );
    const truth = 3.46 / (5.77 * 20);
    assert.ok(error > 0.85 * truth && error < 1.25 * truth, JSON.stringify({ error, truth }));
  });

  it('allows for causes that take up most of what is known', () => {
    // Twelve spans for six causes: half of what there is to know goes into the rates.
    const errors = Array.from({ length: 30 }, (_, seed) => {
      const random = randomBy(seed + 1);
      const x = Array.from({ length: 12 }, () =>
        Array.from({ length: 6 }, () => 10 + Math.floor(random() * 10)),
      );
      const y = x.map((row) => row.reduce((sum, value) => sum + 10 * value, 0) + 20 * random());
      const { slope, error } = first(rates(y, x));
      return Math.abs(slope - 10) / error;
    });
    assert.ok(errors.filter((size) => size > 2.5).length <= 2, JSON.stringify(errors));
  });

  it('of two spans that do not agree is as large as their difference says', () => {
    const { x, y } = spans(60, (at) => (at === 10 ? 5 : at === 40 ? 25 : 8 * ((at * 7) % 5) - 16));
    const rare = x.map((row, at) => [...row, at === 10 || at === 40 ? 1 : 0]);
    const error = rates(y, rare)?.[2]?.error ?? 0;
    assert.ok(error > 12, String(error));
  });

  it('sees that the spans of one cause vary more than those of the others', () => {
    // The other cause is in all spans, and those agree well.
    const random = randomBy(11);
    const x = Array.from({ length: 200 }, (_, at) => [at % 20 === 0 ? 1 : 0, 10 + Math.floor(random() * 10)]);
    const y = x.map(([rare = 0, usual = 0]) => rare * (random() < 0.5 ? 15 : 25) + usual + random());
    const { error } = first(rates(y, x));
    // Ten spans with a standard deviation of 5.
    assert.ok(error > 1, String(error));
  });

  it('grows where what is left of a span hangs together with the one before it, within one worker', () => {
    const random = randomBy(5);
    let drift = 0;
    const drifting = spans(200, () => {
      drift = 0.9 * drift + 10 * (random() - 0.5);
      return drift + 40;
    });
    const x = drifting.x.map((row) => [...row, 1]);
    const one = first(
      rates(
        drifting.y,
        x,
        x.map(() => 1),
      ),
    );
    const each = first(
      rates(
        drifting.y,
        x,
        x.map((_, at) => at),
      ),
    );
    assert.ok(one.error > 1.8 * each.error, JSON.stringify([one, each]));
    // Two workers whose words alternate: each is compared with itself.
    const twice = x.flatMap((row) => [row, row]);
    const y = drifting.y.flatMap((value, at) =>
      [value, drifting.y[(at * 7) % 200] ?? 0].slice(0, 1).concat(value),
    );
    const both = first(
      rates(
        y,
        twice,
        twice.map((_, at) => at % 2),
      ),
    );
    assert.ok(both.error > each.error, JSON.stringify([both, each]));
  });
});
