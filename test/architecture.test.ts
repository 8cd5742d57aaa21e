import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, test } from 'node:test';
import { repoRoot } from './support/process.js';

interface Rule {
  /** Rooms that may be imported. */
  readonly may: readonly string[];
  /** Rooms of which types alone may be imported. */
  readonly types?: readonly string[];
  /** Single files of other rooms that may be imported. */
  readonly files?: readonly string[];
  /** Whether Node's modules and packages may be imported at all. */
  readonly outside?: false;
}

/** Who may import whom under src/; every room may import itself. docs/architecture.md says why. */
const rooms: Readonly<Record<string, Rule>> = {
  core: { may: [], outside: false },
  ipc: { may: ['core'], types: ['config'] },
  errors: { may: [] },
  config: { may: ['errors'] },
  master: { may: ['core', 'ipc', 'supervisor', 'control', 'telemetry', 'config', 'errors'] },
  worker: {
    may: ['ipc', 'http', 'telemetry', 'config', 'errors'],
    types: ['core'],
    files: ['core/latency', 'core/balance', 'core/evidence'],
  },
  control: { may: ['errors'], types: ['core'] },
  http: { may: ['config', 'errors'], types: ['core'] },
  supervisor: { may: ['config', 'errors'] },
  telemetry: { may: ['config', 'errors'] },
  doctor: { may: ['config', 'errors', 'supervisor', 'control'], files: ['core/policy'] },
  cli: {
    may: ['config', 'errors', 'supervisor', 'telemetry', 'control', 'doctor'],
    types: ['core'],
    files: ['master/serve'],
  },
};

interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
}

const quoted = `['"]([^'"]+)['"]`;
/** `import … from`, `export … from`, `import '…'`, `import('…')`, in types too, and `require('…')`. */
const fromClause = new RegExp(
  String.raw`\b(import|export)\s+(type\b(?!\s*(?:,|from\b)))?([^;'"()]*?)\bfrom\s*${quoted}`,
  'g',
);
const bare = new RegExp(String.raw`\bimport\s*${quoted}`, 'g');
const call = new RegExp(String.raw`\b(?:import|require)\s*\(\s*${quoted}`, 'g');

function importsOf(source: string): readonly Import[] {
  const code = source.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/^\s*\/\/.*$/gm, '');
  return [
    ...[...code.matchAll(fromClause)].map(([, , type, , specifier = '']) => ({
      specifier,
      typeOnly: type !== undefined,
    })),
    ...[...code.matchAll(bare), ...code.matchAll(call)].map(([, specifier = '']) => ({
      specifier,
      typeOnly: false,
    })),
  ];
}

/** What is wrong with the imports of one file; `path` is relative to src/, as are the answers. */
function violations(path: string, source: string): readonly string[] {
  const room = roomOf(path);
  const rule = Object.hasOwn(rooms, room) ? rooms[room] : undefined;
  if (rule === undefined) return [`${path} is in no room that the table knows`];
  return importsOf(source)
    .filter(({ specifier, typeOnly }) => !allowed({ specifier, typeOnly, path, room, rule }))
    .map(({ specifier, typeOnly }) => `${path} imports ${typeOnly ? 'types of ' : ''}${specifier}`);
}

function allowed({
  specifier,
  typeOnly,
  path,
  room,
  rule,
}: Import & { path: string; room: string; rule: Rule }): boolean {
  if (!specifier.startsWith('.')) return rule.outside !== false;
  const target = join(dirname(path), specifier).replace(/\.js$/, '');
  const other = roomOf(target);
  if (other === room || rule.may.includes(other) || rule.files?.includes(target)) return true;
  return typeOnly && rule.types?.includes(other) === true;
}

function roomOf(path: string): string {
  return path.includes('/') ? (path.split('/')[0] ?? '') : '';
}

function sources(): readonly { path: string; source: string }[] {
  const src = join(repoRoot, 'src');
  return readdirSync(src, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((file) => ({ path: relative(src, file), source: readFileSync(file, 'utf8') }));
}

/** The one file of a worker that may touch what Node keeps to itself. */
const internals = 'worker/node-internals.ts';

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
  test('are touched by one file of the worker alone', () => {
    const others = sources().filter(({ path }) => roomOf(path) === 'worker' && path !== internals);
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

describe('the import table', () => {
  test('holds for every file under src', () => {
    const files = sources();
    assert.ok(files.length > 50, `only ${files.length} files found`);
    assert.deepEqual(
      files.flatMap(({ path, source }) => violations(path, source)),
      [],
    );
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
    const seen = importsOf(source).map(({ specifier, typeOnly }) =>
      typeOnly ? `${specifier} (type)` : specifier,
    );
    assert.deepEqual(seen.sort(), [
      './eight.js',
      './five.js',
      './four.js',
      './one.js',
      './seven.js',
      './six.js (type)',
      './ten.js',
      './three.js',
      './two.js (type)',
      'nine',
    ]);
  });

  for (const [path, source, verdict] of [
    ['core/step.ts', "import { now } from 'node:perf_hooks';", false],
    ['core/step.ts', "import type { Socket } from 'node:net';", false],
    ['core/step.ts', "import pino from 'pino';", false],
    ['core/step.ts', "import { a } from './model.js';", true],
    ['core/step.ts', "import type { Config } from '../config/config.js';", false],
    ['worker/main.ts', "import type { Pool } from '../master/pool.js';", false],
    ['worker/main.ts', "const a = await import('../master/pool.js');", false],
    ['worker/beats.ts', "import type { Beat } from '../core/stats.js';", true],
    ['worker/beats.ts', "import { step } from '../core/step.js';", false],
    ['worker/beats.ts', "import { type Beat } from '../core/stats.js';", false],
    ['ipc/settings.ts', "import { loadConfig } from '../config/load.js';", false],
    ['http/app.ts', "import type { Beat } from '../core/stats.js';", true],
    ['http/app.ts', "import { createLog } from '../telemetry/log.js';", false],
    ['cli/serve.ts', "import { serve } from '../master/serve.js';", true],
    ['cli/serve.ts', "import { createPool } from '../master/pool.js';", false],
    ['telemetry/log.ts', "import type { State } from '../core/model.js';", false],
    ['index.ts', 'export {};', false],
    ['utils/sleep.ts', 'export {};', false],
    ['config/load.ts', "import data from '../../package.json';", false],
  ] as const) {
    test(`${verdict ? 'lets' : 'does not let'} ${path} say ${source}`, () => {
      assert.equal(violations(path, source).length === 0, verdict);
    });
  }
});
