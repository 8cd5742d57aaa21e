import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, test } from 'node:test';
import { repoRoot } from './support/process.js';

/** Rooms that may not import Node's modules and packages. */
const sealed: readonly string[] = ['settings', 'core', 'heap', 'costs'];

/** Which rooms a room under src/ may import; every room may import itself. docs/architecture.md says why. */
const rooms: Readonly<Record<string, readonly string[]>> = {
  settings: [],
  protocol: ['settings', 'errors'],
  core: ['settings', 'protocol'],
  errors: [],
  processes: [],
  files: [],
  'companion-process': ['errors'],
  config: ['processes', 'settings', 'protocol', 'errors', 'jobs'],
  record: ['protocol', 'core', 'errors'],
  metrics: ['protocol'],
  heap: [],
  costs: ['protocol'],
  master: [
    'processes',
    'files',
    'deploy',
    'record',
    'core',
    'protocol',
    'metrics',
    'costs',
    'notify',
    'jobs',
    'service-manager',
    'control',
    'logging',
    'config',
    'settings',
    'errors',
  ],
  deploy: ['processes', 'files', 'companion-process', 'protocol', 'control', 'settings', 'errors'],
  notify: ['protocol', 'settings', 'errors'],
  backplane: [
    'processes',
    'files',
    'companion-process',
    'protocol',
    'control',
    'settings',
    'logging',
    'errors',
  ],
  jobs: ['processes', 'files', 'protocol', 'settings', 'errors'],
  'app-api': ['protocol', 'backplane', 'errors'],
  admin: [
    'companion-process',
    'protocol',
    'control',
    'http',
    'logging',
    'metrics',
    'heap',
    'settings',
    'errors',
  ],
  sandbox: [],
  worker: ['processes', 'protocol', 'metrics', 'sandbox', 'http', 'logging', 'config', 'settings', 'errors'],
  control: ['protocol', 'errors'],
  http: ['protocol', 'metrics', 'config', 'settings', 'errors'],
  'service-manager': ['processes', 'config', 'settings', 'errors'],
  setup: ['processes', 'protocol', 'config', 'settings', 'errors', 'service-manager', 'control', 'doctor'],
  logging: ['files', 'protocol', 'config', 'service-manager', 'settings', 'errors'],
  rehearse: ['processes', 'protocol', 'config', 'settings', 'control', 'errors'],
  doctor: [
    'processes',
    'protocol',
    'sandbox',
    'config',
    'settings',
    'errors',
    'service-manager',
    'control',
    'backplane',
  ],
  cli: [
    'processes',
    'protocol',
    'config',
    'settings',
    'errors',
    'service-manager',
    'logging',
    'control',
    'doctor',
    'setup',
    'deploy',
    'record',
    'rehearse',
    'heap',
    'jobs',
    'master',
  ],
};

const quoted = `['"]([^'"]+)['"]`;
/** `import … from`, `export … from`, `import '…'`, `import('…')`, in types too, and `require('…')`. */
const fromClause = new RegExp(String.raw`\b(?:import|export)\s+[^;'"()]*?\bfrom\s*${quoted}`, 'g');
const bare = new RegExp(String.raw`\bimport\s*${quoted}`, 'g');
const call = new RegExp(String.raw`\b(?:import|require)\s*\(\s*${quoted}`, 'g');

function importsOf(source: string): readonly string[] {
  const code = source.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/^\s*\/\/.*$/gm, '');
  return [fromClause, bare, call].flatMap((form) =>
    [...code.matchAll(form)].map(([, specifier = '']) => specifier),
  );
}

/** What is wrong with the imports of one file; `path` is relative to src/, as are the answers. */
function violations(path: string, source: string): readonly string[] {
  const room = roomOf(path);
  const may = Object.hasOwn(rooms, room) ? rooms[room] : undefined;
  if (may === undefined) return [`${path} is in no room that the table knows`];
  return importsOf(source)
    .filter((specifier) => {
      if (!specifier.startsWith('.')) return sealed.includes(room);
      const other = roomOf(join(dirname(path), specifier));
      return other !== room && !may.includes(other);
    })
    .map((specifier) => `${path} imports ${specifier}`);
}

/** Of files of this tree that are loaded at once: no types, and no `import()`. */
function valueImportsOf(source: string): readonly string[] {
  const code = source.replaceAll(/\/\*[\s\S]*?\*\//g, '');
  const form = /^(?:import|export)\s+(?!type\b)[^;'"()]*?\bfrom\s*'(\.[^']+)'/gm;
  return [...code.matchAll(form)].map(([, specifier = '']) => specifier);
}

function fileOf(path: string, specifier: string): string {
  return join(dirname(path), specifier).replace(/\.js$/, '.ts');
}

function roomOf(path: string): string {
  return path.split('/')[0]?.replace(/\.[jt]s$/, '') ?? '';
}

function sources(): readonly { path: string; source: string }[] {
  const src = join(repoRoot, 'src');
  return readdirSync(src, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((file) => ({ path: relative(src, file), source: readFileSync(file, 'utf8') }));
}

/** The one folder of a worker that may touch what Node keeps to itself. */
const internals = 'worker/node-internals/';

/** Where code reaches past Node's documented interface: a field with an underscore, a foreign symbol, a binding. */
const reaches = [
  /(?<![\w$])_(?!_)[A-Za-z]\w*/g,
  /\bprocess\.binding\b/g,
  /\bgetOwnPropertySymbols\b/g,
  /\b(?:runMain|constructor\.name)\b/g,
];

/** What one file of a worker says of the kind. */
function reachedFor(source: string): readonly string[] {
  const code = source
    .replaceAll(/\/\*[\s\S]*?\*\//g, '')
    .replaceAll(/\/\/.*$/gm, '')
    // A parameter that is not used bears an underscore too.
    .replaceAll(/(?<=[(,]\s*)_\w+(?=\s*(?:[,:)]|=>))/g, '');
  return reaches.flatMap((pattern) => code.match(pattern) ?? []);
}

describe("Node's private fields", () => {
  test('are touched by one folder of the worker alone', () => {
    const others = sources().filter(({ path }) => roomOf(path) === 'worker' && !path.startsWith(internals));
    assert.deepEqual(
      others.flatMap(({ path, source }) => reachedFor(source).map((what) => `${path} reaches for ${what}`)),
      [],
    );
  });

  test('are recognised', () => {
    const source = `
      socket._handle.close();
      const { _consumed: consumed } = parser;
      Reflect.get(cluster, '_getServer');
      server._connections++;
      // socket._handle in a comment
      process.binding('natives');
      done((_error, count) => count);
    `;
    assert.deepEqual(reachedFor(source), [
      '_handle',
      '_consumed',
      '_getServer',
      '_connections',
      'process.binding',
    ]);
  });
});

/** Lines of a file. A longer one has more than one subject. */
const mostLines = 450;

test(`no file under src has more than ${mostLines} lines`, () => {
  const tooLong = sources()
    .map(({ path, source }) => ({ path, lines: source.split('\n').length - 1 }))
    .filter(({ lines }) => lines > mostLines);
  assert.deepEqual(tooLong, [], 'split it where its subject changes');
});

describe('the import table', () => {
  test('holds for every file under src', () => {
    const files = sources();
    assert.ok(files.length > 50, `only ${files.length} files found`);
    assert.deepEqual(
      files.flatMap(({ path, source }) => violations(path, source)),
      [],
    );
  });

  test('lets no file import itself by way of others, types apart', () => {
    const graph = new Map(
      sources().map(({ path, source }) => [path, valueImportsOf(source).map((each) => fileOf(path, each))]),
    );
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (path: string, way: readonly string[]): void => {
      if (way.includes(path)) return void cycles.push([...way.slice(way.indexOf(path)), path].join(' > '));
      if (done.has(path)) return;
      for (const other of graph.get(path) ?? []) visit(other, [...way, path]);
      done.add(path);
    };
    for (const path of graph.keys()) visit(path, []);
    assert.deepEqual(cycles, []);
  });

  test('names only rooms that exist, apart from those still to be built', () => {
    const there = new Set(sources().map(({ path }) => roomOf(path)));
    assert.deepEqual(
      Object.keys(rooms).filter((room) => !there.has(room)),
      [],
    );
  });

  test('sees an import in each of its forms', () => {
    const source = `
      import a, { type B } from './one.js';
      import type { C } from './two.js';
      import {
        d,
        e,
      } from "./three.js";
      import './four.js';
      export * from './five.js';
      export type { F } from './six.js';
      const g = await import('./seven.js');
      type H = import('./eight.js').H;
      const i = createRequire(import.meta.url)('nothing'), j = require('nine');
      import type from './ten.js';
      // import k from './eleven.js';
      /** as in import l from './twelve.js' */
      export const from = 'm';
    `;
    assert.deepEqual([...importsOf(source)].sort(), [
      './eight.js',
      './five.js',
      './four.js',
      './one.js',
      './seven.js',
      './six.js',
      './ten.js',
      './three.js',
      './two.js',
      'nine',
    ]);
  });

  for (const [path, source, verdict] of [
    ['core/step.ts', "import { now } from 'node:perf_hooks';", false],
    ['core/step.ts', "import type { Socket } from 'node:net';", false],
    ['core/step.ts', "import pino from 'pino';", false],
    ['core/step.ts', "import { a } from './state.js';", true],
    ['core/step.ts', "import { mostWorkers } from '../protocol/limits.js';", true],
    ['core/step.ts', "import { loadConfig } from '../config/load.js';", false],
    ['protocol/messages.ts', "import type { State } from '../core/state.js';", false],
    ['core/policy.ts', "import type { Share } from '../settings/config.js';", true],
    ['protocol/settings.ts', "import type { Loaded } from '../config/load.js';", false],
    ['settings/table.ts', "import { isAbsolute } from 'node:path';", false],
    ['worker/main.ts', "import type { Pool } from '../master/pool.js';", false],
    ['worker/main.ts', "const a = await import('../master/pool.js');", false],
    ['worker/health/heartbeats.ts', "import type { Heartbeat } from '../../protocol/heartbeat.js';", true],
    ['worker/health/heartbeats.ts', "import { step } from '../../core/step.js';", false],
    ['worker/health/heartbeats.ts', "import type { State } from '../../core/state.js';", false],
    ['http/app.ts', "import type { PublicStats } from '../protocol/stats.js';", true],
    ['http/app.ts', "import { createLog } from '../logging/log.js';", false],
    ['cli/serve.ts', "import { serve } from '../master/serve.js';", true],
    ['cli/serve.ts', "import type { State } from '../core/state.js';", false],
    ['logging/log.ts', "import type { State } from '../core/state.js';", false],
    ['index.ts', 'export {};', false],
    ['utils/sleep.ts', 'export {};', false],
    ['config/load.ts', "import data from '../../package.json';", false],
  ] as const) {
    test(`${verdict ? 'lets' : 'does not let'} ${path} say ${source}`, () => {
      assert.equal(violations(path, source).length === 0, verdict);
    });
  }
});
