import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { aggregateApps, keepCounters } from '../../../src/metrics/app-aggregate.js';
import { readAppRegistry } from '../../../src/metrics/app-registry.js';
import type { AppRegistry } from '../../../src/protocol/metrics.js';

const counter = {
  name: 'orders_total',
  help: 'Orders.',
  type: 'counter',
  aggregator: 'sum',
  values: [{ value: 3, labels: { shop: 'a' } }],
};

describe("the app's registry", () => {
  test('is read as JSON', async () => {
    const read = await readAppRegistry({ find: () => [{ getMetricsAsJSON: async () => [counter] }] });
    assert.deepEqual(read, { json: JSON.stringify([counter]), failure: null });
  });

  test('is named as missing where the app has none', async () => {
    assert.deepEqual(await readAppRegistry(), { json: null, failure: 'the app has not loaded prom-client' });
  });

  test('may take so long and no longer', async () => {
    const find = () => [{ getMetricsAsJSON: () => new Promise(() => {}) }];
    const read = await readAppRegistry({ find, timeout: 10 });
    assert.deepEqual(read, { json: null, failure: 'it did not answer within 10 ms' });
  });

  test('that fails is named with its error', async () => {
    const failing = async () => Promise.reject(new Error('no database'));
    const read = await readAppRegistry({ find: () => [{ getMetricsAsJSON: failing }] });
    assert.deepEqual(read, { json: null, failure: 'no database' });
  });

  test('is cut where it is too large, between two metrics', async () => {
    const find = () => [{ getMetricsAsJSON: () => [counter, counter, counter] }];
    const limit = JSON.stringify([counter, counter]).length;
    const { json, failure } = await readAppRegistry({ find, limit });
    assert.equal(JSON.parse(json ?? '').length, 2);
    assert.equal(failure, `1 of its 3 metrics are left out: more than ${limit} bytes`);
  });
});

function registry(...families: readonly unknown[]): AppRegistry {
  return { json: JSON.stringify(families), failure: null };
}

function aggregated(...registries: readonly AppRegistry[]) {
  return aggregateApps(registries.map((each, index) => ({ from: `worker ${index + 1}`, registry: each })));
}

function gauge(aggregator: string, value: number) {
  return { name: `g_${aggregator}`, help: 'G.', type: 'gauge', aggregator, values: [{ value, labels: {} }] };
}

describe('the metrics of several workers of the app', () => {
  test('are added up by their labels, or as each asks for', () => {
    const other = {
      ...counter,
      values: [
        { value: 1, labels: { shop: 'a' } },
        { value: 2, labels: { shop: 'b' } },
      ],
    };
    const gauges = (value: number) =>
      ['min', 'max', 'average', 'first', 'omit'].map((each) => gauge(each, value));
    const { families, problems } = aggregated(registry(counter, ...gauges(2)), registry(other, ...gauges(6)));
    assert.deepEqual(problems, []);
    assert.deepEqual(
      families.flatMap(({ samples }) => samples.map(({ name, labels, value }) => [name, labels, value])),
      [
        ['orders_total', { shop: 'a' }, 4],
        ['orders_total', { shop: 'b' }, 2],
        ['g_min', {}, 2],
        ['g_max', {}, 6],
        ['g_average', {}, 4],
        ['g_first', {}, 2],
      ],
    );
  });

  test('that are no metrics of prom-client are left out and named, and break nothing', () => {
    const bad = [
      null,
      7,
      { ...counter, name: 'no name' },
      { ...counter, name: 'rom_agent_workers' },
      { ...counter, name: 'a', type: 'map' },
      { ...counter, name: 'b', values: 'many' },
      {
        ...counter,
        name: 'c',
        values: [null, { value: 'x' }, { value: 1, metricName: 'd"} 1\nrom_agent_workers' }],
      },
    ];
    const { families, problems } = aggregated(registry(...bad), { json: '{', failure: 'it is broken' });
    assert.deepEqual(families, [{ name: 'c', help: 'Orders.', type: 'counter', samples: [] }]);
    assert.deepEqual(problems, [
      'worker 1: an entry that is no metric: left out',
      'worker 1: an entry that is no metric: left out',
      'worker 1: "no name" is no name of a metric: left out',
      "worker 1: rom_agent_workers has a name that is rom-agent's own: left out",
      'worker 1: a has no type of prom-client, or no values: left out',
      'worker 1: b has no type of prom-client, or no values: left out',
      'worker 2: it is broken',
    ]);
  });

  test('of different types under one name are not mixed', () => {
    const { families, problems } = aggregated(registry(counter), registry({ ...counter, type: 'gauge' }));
    assert.equal(families[0]?.samples[0]?.value, 3);
    assert.deepEqual(problems, [
      'worker 2: orders_total is a gauge here and a counter in another worker: left out',
    ]);
  });

  test('that are gone leave their counters, and no gauges', () => {
    const histogram = {
      ...{ name: 'h', help: '', type: 'histogram', aggregator: 'sum' },
      values: [
        { metricName: 'h_bucket', labels: { le: 1 }, value: 2 },
        { metricName: 'h_sum', labels: {}, value: 0.5 },
      ],
    };
    const first = keepCounters(null, [registry(counter, gauge('sum', 4), histogram)]);
    const second = keepCounters(first, [registry(counter), registry(counter)]);
    const { families } = aggregated(registry(counter), second);
    assert.deepEqual(
      families.flatMap(({ samples }) => samples.map(({ name, value }) => [name, value])),
      [
        ['orders_total', 12],
        ['h_bucket', 2],
        ['h_sum', 0.5],
      ],
    );
  });
});
