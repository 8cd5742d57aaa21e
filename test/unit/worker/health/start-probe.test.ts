import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RomAgentError } from '../../../../src/errors.js';
import { answersAtStart } from '../../../../src/worker/health/probe.js';

/** An app that gives these answers, each after a second by a clock of its own; the last one again and again. */
function app(failures: readonly (string | null)[], isDraining = () => false) {
  const asked: { readonly path: string; readonly timeout: number }[] = [];
  let time = 0;
  return {
    asked,
    seam: {
      ask: (question: { readonly path: string; readonly timeout: number }) => {
        time += 1000;
        asked.push(question);
        const failure = failures[Math.min(asked.length, failures.length) - 1] ?? null;
        return Promise.resolve({ failure, tookMs: 7 });
      },
      isDraining,
      now: () => time,
      pause: 0,
    },
  };
}

describe('the probe of a start', () => {
  test('is asked until the app answers', async () => {
    const { asked, seam } = app(['GET /up was answered with 503', 'GET /up: socket hang up', null]);
    assert.equal(await answersAtStart({ path: '/up', until: 10_000 }, seam), 7);
    assert.deepEqual(asked, [
      { path: '/up', timeout: 10_000 },
      { path: '/up', timeout: 9_000 },
      { path: '/up', timeout: 8_000 },
    ]);
  });

  test('says what was wrong once the time is over', async () => {
    const { asked, seam } = app(['GET /up was answered with 503']);
    await assert.rejects(answersAtStart({ path: '/up', until: 3_000 }, seam), (error) => {
      assert.ok(error instanceof RomAgentError);
      assert.equal(error.exitCode, 75);
      assert.match(
        error.message,
        /^start\.probe: GET \/up was answered with 503, and no better within 3\.0 s/,
      );
      return true;
    });
    assert.equal(asked.length, 3);
  });

  test('is over for a worker that drains', async () => {
    const { seam } = app(['GET /up was answered with 503'], () => true);
    assert.equal(await answersAtStart({ path: '/up', until: 3_000 }, seam), null);
  });
});
