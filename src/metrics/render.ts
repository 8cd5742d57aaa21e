import type { Distribution, MetricsSnapshot } from '../protocol/metrics.js';
import { type AppFamily, aggregateApps } from './app-aggregate.js';
import { families } from './families.js';
import type { Family } from './family.js';

/** Of the text below: https://prometheus.io/docs/instrumenting/exposition_formats/ */
export const metricsType = 'text/plain; version=0.0.4; charset=utf-8';

/** A snapshot in the text format of Prometheus, the app's own metrics behind ours. */
export function renderMetrics(snapshot: MetricsSnapshot): string {
  const lines: string[] = [];
  for (const family of families) renderFamily(lines, family, snapshot);
  const apps = snapshot.app.map(({ worker, ...registry }) => ({
    from:
      worker === null
        ? "the app's metrics of workers that are gone"
        : `the app's metrics of worker ${worker}`,
    registry,
  }));
  const { families: ofApp, problems } = aggregateApps(apps);
  const told = problems.slice(0, mostProblems);
  for (const problem of told) lines.push(`# rom-agent: ${oneLine(problem)}`);
  if (problems.length > told.length)
    lines.push(`# rom-agent: ${problems.length - told.length} more of the kind`);
  for (const family of ofApp) renderAppFamily(lines, family);
  return `${lines.join('\n')}\n`;
}

const mostProblems = 20;

function renderFamily(lines: string[], family: Family, snapshot: MetricsSnapshot): void {
  const { name, type, help, labels, limits } = family;
  const samples = family.samples(snapshot);
  if (samples.length === 0) return;
  head(lines, { name, type, help });
  for (const { labels: values, value } of samples) {
    const pairs = labels.map((label, index): Pair => [label, String(values[index] ?? '')]);
    if (typeof value === 'number') lines.push(line(name, pairs, value));
    else renderHistogram(lines, { name, pairs, limits: limits ?? [], value });
  }
}

interface HistogramOf {
  readonly name: string;
  readonly pairs: readonly Pair[];
  readonly limits: readonly number[];
  readonly value: Distribution;
}

/** Each bucket of the format has those below it in it. */
function renderHistogram(lines: string[], { name, pairs, limits, value }: HistogramOf): void {
  let count = 0;
  for (const [index, limit] of [...limits, Number.POSITIVE_INFINITY].entries()) {
    count += value.counts[index] ?? 0;
    lines.push(line(`${name}_bucket`, [...pairs, ['le', number(limit)]], count));
  }
  lines.push(line(`${name}_sum`, pairs, value.sumSeconds));
  lines.push(line(`${name}_count`, pairs, count));
}

function renderAppFamily(lines: string[], { name, type, help, samples }: AppFamily): void {
  if (samples.length === 0) return;
  head(lines, { name, type, help });
  for (const { name: ofSample, labels, value } of samples)
    lines.push(line(ofSample, Object.entries(labels), value));
}

type Pair = readonly [label: string, value: string];

function head(lines: string[], { name, type, help }: { name: string; type: string; help: string }): void {
  lines.push(`# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`);
  lines.push(`# TYPE ${name} ${type}`);
}

function line(name: string, pairs: readonly Pair[], value: number): string {
  const labels = pairs.map(([label, text]) => `${label}="${escaped(text)}"`).join(',');
  return `${name}${labels === '' ? '' : `{${labels}}`} ${number(value)}`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function number(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  return String(value);
}

function oneLine(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, ' ').slice(0, 500);
}
