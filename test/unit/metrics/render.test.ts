import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { families } from '../../../src/metrics/families.js';
import { renderMetrics } from '../../../src/metrics/render.js';
import type { MetricsSnapshot } from '../../../src/protocol/metrics.js';
import { countedQueues } from '../../../src/protocol/queues.js';
import { repoRoot } from '../../support/process.js';
import { sampleSnapshot } from './samples.js';

const app: MetricsSnapshot['app'] = [
  {
    worker: 1,
    failure: null,
    json: JSON.stringify([
      { name: 'q', help: 'a\nb\\c', type: 'gauge', values: [{ value: 1.5, labels: { path: '"a"\n\\' } }] },
    ]),
  },
  { worker: 2, failure: 'it did not\nanswer', json: null },
];

test('a snapshot becomes the text format, whose buckets have those below them in them', () => {
  const text = renderMetrics(sampleSnapshot);
  for (const line of [
    'rom_agent_build_info{version="0.1.0",node="v24.21.0",mode="cluster",kind="server"} 1',
    'rom_agent_worker_restarts_total{cause="crash"} 1',
    'rom_agent_http_requests_total{route="/orders/:id",method="GET",status="2xx"} 5000',
    'rom_agent_http_request_duration_seconds_bucket{route="/orders/:id",le="0.0025"} 4900',
    'rom_agent_http_request_duration_seconds_bucket{route="/orders/:id",le="+Inf"} 5116',
    'rom_agent_http_request_duration_seconds_sum{route="/orders/:id"} 6.2',
    'rom_agent_http_request_duration_seconds_count{route="/orders/:id"} 5116',
    'rom_agent_gc_pause_seconds_count{kind="minor"} 84',
    'rom_agent_worker_resident_memory_bytes{worker="1"} 62914560',
  ]) {
    assert.ok(text.split('\n').includes(line), line);
  }
  assert.ok(text.endsWith('\n'));
});

test('each metric has its HELP and TYPE once, before its samples, and no sample stands twice', () => {
  const lines = renderMetrics({ ...sampleSnapshot, app })
    .trimEnd()
    .split('\n');
  const types = lines.filter((line) => line.startsWith('# TYPE ')).map((line) => line.split(' ')[2]);
  assert.deepEqual(types, [...families.map(({ name }) => name), 'q']);
  const samples = lines
    .filter((line) => !line.startsWith('#'))
    .map((line) => line.slice(0, line.lastIndexOf(' ')));
  assert.deepEqual([...new Set(samples)], samples);
});

test("the app's metrics stand behind ours, and what was wrong with them in a comment of one line", () => {
  const text = renderMetrics({ ...sampleSnapshot, app });
  assert.match(text, /\n# rom-agent: the app's metrics of worker 2: it did not answer\n/);
  assert.ok(
    text.endsWith('# HELP q a\\nb\\\\c\n# TYPE q gauge\nq{path="\\"a\\"\\n\\\\"} 1.5\n'),
    text.slice(-200),
  );
  assert.match(text, /\nrom_agent_app_registry_up\{worker="2"\} 0\n/);
});

test('what the system does not say has no sample', () => {
  const text = renderMetrics({
    ...sampleSnapshot,
    watchdog: null,
    listenQueue: { waiting: null, overflows: null, drops: null },
  });
  assert.doesNotMatch(text, /rom_agent_(host_)?listen|rom_agent_watchdog/);
});

test('two processes in a slot and several spares are added up, or the larger value is told', () => {
  const [first] = sampleSnapshot.workers;
  assert.ok(first !== undefined);
  const gauges = { ...(first.gauges as NonNullable<typeof first.gauges>), eventLoopDelaySeconds: 2 };
  const spare = { ...first, worker: null, gauges };
  const text = renderMetrics({ ...sampleSnapshot, workers: [first, { ...first, gauges }, spare, spare] });
  assert.match(
    text,
    /\nrom_agent_worker_connections\{worker="1"\} 24\nrom_agent_worker_connections\{worker="spare"\} 24\n/,
  );
  assert.match(text, /\nrom_agent_worker_event_loop_delay_seconds\{worker="1"\} 2\n/);
});

test('an app with many queues has few labels: those beyond a hundred are summed up', () => {
  const names = Array.from({ length: countedQueues + 2 }, (_, nth) => `q${String(nth).padStart(3, '0')}`);
  const queues = names.map((name) => ({ name, waiting: 2, delayed: 0, active: 0, completed: 9, failed: 1 }));
  const engine = { kind: 'redis', connected: false } as const;
  const lines = renderMetrics({ ...sampleSnapshot, queues: { engine, queues } }).split('\n');
  const told = lines.filter((line) => /^rom_agent_queue_jobs\{.*state="waiting"/.test(line));
  assert.equal(told.length, countedQueues + 1);
  assert.equal(told.at(-1), 'rom_agent_queue_jobs{queue="other",state="waiting"} 4');
  assert.ok(lines.includes('rom_agent_queue_connected 0'));
});

test('promtool finds nothing to say', (t) => {
  const { error, status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
    input: renderMetrics({ ...sampleSnapshot, app: [] }),
    encoding: 'utf8',
  });
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT')
    return t.skip('promtool is not installed');
  assert.deepEqual([status, stdout, stderr], [0, '', '']);
});

test('the page of the metrics has each of them, as the code has it', () => {
  const path = `${repoRoot}/docs/reference/metrics.md`;
  const rows = families.map(
    ({ name, type, labels, help }) =>
      `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help} |`,
  );
  const page = readFileSync(path, 'utf8');
  const expected = page.replace(/(?:\| `rom_agent_.*\n)+/, () => `${rows.join('\n')}\n`);
  if (process.env.UPDATE_DOCS === '1') writeFileSync(path, expected);
  else assert.equal(page, expected, 'run the tests with UPDATE_DOCS=1 to write it anew');
});
