import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { repoRoot } from '../../support/process.js';
import { type Document, documentOf, plotsOf, withFigures } from './document.js';
import { installPeers, nodesOf, versionOf } from './install.js';
import { measureLoad } from './measure-load.js';
import { measureOperations } from './measure-operations.js';
import { measureConnections, measureGrowth, measureIdle, measureStarts } from './measure-starts.js';
import { peers } from './peers.js';
import { Rounds } from './rounds.js';
import type { Run } from './run.js';

/** The LTS that is measured in any case; growth, operations and other apps are measured on it alone. */
const lts = 24;
/** Requests a second: about half of what the slowest peer answers on two cores that it shares with wrk. */
const rate = 6_000;

interface Form {
  readonly quick: boolean;
  /** After each start, and of most other measurements. */
  readonly rounds: number;
}

/** In order; BENCH_PARTS names some. */
const parts: Readonly<Record<string, (run: Run, form: Form) => Promise<void>>> = {
  load: (run, { quick, rounds }) =>
    measureLoad(run, {
      app: 'koa',
      starts: quick ? 1 : 2,
      rounds,
      seconds: 2,
      cold: true,
      rate,
      rests: quick ? [15] : [15, 60],
      // A rest takes a minute. What is left in memory differs less from start to start than anything else.
      restsAt: rounds < 4 ? 'last' : 'each',
    }),
  starts: (run, { quick, rounds }) => measureStarts(run, { app: 'koa', rounds: quick ? 1 : rounds }),
  idle: (run, { quick }) =>
    measureIdle(
      run,
      quick
        ? { app: 'koa', after: 10, restAfter: 10, seconds: 5 }
        : { app: 'koa', after: 25, restAfter: 90, seconds: 20 },
    ),
  operations: (run, { quick, rounds }) =>
    measureOperations(run, { app: 'koa', major: lts, rounds: quick ? 1 : rounds }),
  connections: async (run, { quick }) => {
    if (!quick) await measureConnections(run, { app: 'koa', major: lts, count: 10_000, seconds: 2 });
  },
  growth: async (run, { quick }) => {
    if (!quick) await measureGrowth(run, { app: 'koa', major: lts });
  },
  apps: async (run, { quick, rounds }) => {
    if (quick) return;
    const plan = { majors: [lts], starts: 1, rounds, seconds: 2, cold: false, rate: 0, rests: [] };
    for (const app of ['http', 'express', 'fastify', 'built-in'] as const) {
      if (!run.late()) await measureLoad(run, { app, ...plan, restsAt: 'last' });
    }
  },
};

const paths = {
  page: join(repoRoot, 'docs', 'benchmarks.md'),
  assets: join(repoRoot, 'docs', 'assets'),
  build: join(repoRoot, 'build', 'bench'),
} as const;
const raw = 'benchmarks.json';

/** A figure is no test: the exit status is 1 only if a part could not be measured. */
async function main(): Promise<void> {
  if (process.argv[2] === '--document') {
    const document = JSON.parse(readFileSync(join(paths.assets, raw), 'utf8')) as Document;
    writeDocs(document);
    return;
  }
  if (process.platform !== 'linux') {
    process.stderr.write('bench: needs /proc of Linux for CPU time and memory; nothing was measured\n');
    return;
  }
  const quick = process.env.QUICK === '1';
  const form = { quick, rounds: wantedNumber('ROUNDS', quick ? 2 : 5) };
  const names = listed('BENCH_PARTS', Object.keys(parts));
  const document = await measure(form, names);
  process.stdout.write(`${documentOf(document)}\n`);
  // What is not whole is no figure for the docs.
  const whole =
    !form.quick && names.length === Object.keys(parts).length && process.env.BENCH_PEERS === undefined;
  if (whole) writeDocs(document);
}

async function measure(form: Form, names: readonly string[]): Promise<Document> {
  const begun = Date.now();
  const minutes = wantedNumber('MINUTES', Number.MAX_SAFE_INTEGER);
  const loadBefore = loadavg()[0] ?? 0;
  const host = Number.parseInt(process.versions.node, 10);
  const majors = listed('BENCH_NODES', [...new Set(form.quick ? [lts] : [host, lts])].map(String)).map(
    Number,
  );
  const installed = await installPeers();
  const nodes = await nodesOf(majors.sort((a, b) => b - a));
  const wanted = listed(
    'BENCH_PEERS',
    peers.map(({ id }) => id),
  );
  const scratch = mkdtempSync(join(tmpdir(), 'rom-agent-bench-'));
  const say = (text: string) => {
    process.stderr.write(`${((Date.now() - begun) / 1_000).toFixed(0).padStart(5)} s  ${text}\n`);
  };
  const run: Run = {
    rounds: new Rounds(),
    peers: peers.filter(({ id }) => wanted.includes(id)),
    ...{ nodes, installed, scratch, say },
    late: () => Date.now() - begun > minutes * 60_000,
  };
  const [cpu] = cpus();
  const soFar = (): Document => ({
    date: new Date(begun).toISOString().slice(0, 10),
    minutes: Math.round((Date.now() - begun) / 60_000),
    machine: `${cpus().length} CPUs (${cpu?.model.trim() ?? 'unknown'})`,
    loadBefore: Number(loadBefore.toFixed(1)),
    rounds: form.rounds,
    rate,
    versions: {
      node: [...nodes.keys()].map((major) => [major, versionAt(run, major)] as const),
      packages: ['pm2', 'wattpm', 'koa', 'express', 'fastify'].map(
        (name) => [name, versionOf(installed, name)] as const,
      ),
    },
    peers: run.peers.map(({ name }) => name),
    table: run.rounds.toTable(),
  });
  try {
    for (const name of names) {
      if (run.late()) say(`${name}: left out, for MINUTES are over`);
      if (run.late()) continue;
      await parts[name]?.(run, form).catch((error: unknown) => {
        say(`${name}: ${error instanceof Error ? error.stack : error}`);
        process.exitCode = 1;
      });
      // A run that is cut short has what it had until then.
      keep(soFar());
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return soFar();
}

/** What is no part of the repository. */
function keep(document: Document): void {
  mkdirSync(paths.build, { recursive: true });
  writeFileSync(join(paths.build, raw), textOf(document));
  for (const [name, text] of plotsOf(document)) writeFileSync(join(paths.build, name), text);
}

function versionAt({ nodes }: Run, major: number): string {
  return nodes.get(major) === process.execPath ? process.versions.node : (packaged.get(major) ?? `${major}`);
}

const packaged: ReadonlyMap<number, string> = packagedNodes();

/** The versions that test/system/nodes/versions pins. */
function packagedNodes(): ReadonlyMap<number, string> {
  const file = join(repoRoot, 'test', 'system', 'nodes', 'versions', 'package.json');
  const { dependencies } = JSON.parse(readFileSync(file, 'utf8')) as { dependencies: Record<string, string> };
  const entries = Object.values(dependencies).map((spec) => spec.replace(/.*@/, ''));
  return new Map(entries.map((version) => [Number.parseInt(version, 10), version]));
}

function writeDocs(document: Document): void {
  writeFileSync(join(paths.assets, raw), textOf(document));
  for (const [name, text] of plotsOf(document)) writeFileSync(join(paths.assets, name), text);
  writeFileSync(paths.page, withFigures(readFileSync(paths.page, 'utf8'), documentOf(document)));
}

/** A line for each figure, so that a diff of two runs can be read. */
function textOf({ table, ...rest }: Document): string {
  const lines = Object.entries(table).map(
    ([figure, values]) => `    ${JSON.stringify(figure)}: ${JSON.stringify(values)}`,
  );
  const head = JSON.stringify(rest, null, 2).replace(/\n}$/, '');
  return `${head},\n  "table": {\n${lines.join(',\n')}\n  }\n}\n`;
}

function wantedNumber(variable: string, otherwise: number): number {
  const text = process.env[variable];
  if (text === undefined || text === '') return otherwise;
  const wanted = Number(text);
  if (Number.isInteger(wanted) && wanted > 0) return wanted;
  throw new Error(`${variable}: ${JSON.stringify(text)}; expected a whole number from 1`);
}

function listed(variable: string, all: readonly string[]): string[] {
  const wanted = process.env[variable]?.split(',');
  if (variable === 'BENCH_NODES') return wanted ?? [...all];
  const unknown = wanted?.find((name) => !all.includes(name));
  if (unknown !== undefined) throw new Error(`${variable}: ${unknown}; expected some of ${all.join(', ')}`);
  return wanted ?? [...all];
}

try {
  await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
