import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generate } from './generate.js';
import { fromJson, type Script, serverNames, toJson } from './script.js';
import { shrink } from './shrink.js';

const seeds = Array.from({ length: 200 }, (_, seed) => seed);
const sent = ({ steps }: Script): string =>
  steps.flatMap((step) => ('send' in step ? [step.send] : [])).join('');

test('a seed decides a script', () => {
  for (const seed of seeds) assert.deepEqual(generate(seed, serverNames), generate(seed, serverNames));
});

test('the requests of a script are in the order in which they are sent, and the last may be half of one', () => {
  for (const seed of seeds) {
    const script = generate(seed, serverNames);
    const text = sent(script);
    const places = script.requests.map(({ token }) => text.indexOf(token));
    const whole = places.at(-1) === -1 ? places.slice(0, -1) : places;
    assert.ok(!whole.includes(-1), script.name);
    assert.deepEqual(
      whole,
      [...whole].sort((a, b) => a - b),
      script.name,
    );
  }
});

test('a script is read from a file as it was written', () => {
  for (const seed of seeds) {
    const script = generate(seed, serverNames);
    assert.deepEqual(fromJson(toJson(script)), script);
  }
});

test('what is not needed for a failure is left out of a script', async () => {
  const script: Script = {
    name: 'four bytes',
    server: 'patient',
    steps: [
      { send: 'a' },
      { pause: 10 },
      { send: 'b' },
      { send: 'c' },
      { pause: 20 },
      { send: 'd' },
      { end: true },
    ],
    requests: [],
  };
  const smallest = await shrink(script, async (scripts) => scripts.filter((one) => sent(one).includes('c')));
  assert.deepEqual(smallest.steps, [{ send: 'c' }]);
});
