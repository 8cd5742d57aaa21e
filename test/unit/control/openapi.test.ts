import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { bodies } from '../../../src/control/input-schemas.js';
import { jsonSchemas, openapi } from '../../../src/control/openapi.js';
import { routes } from '../../../src/control/routes.js';
import { repoRoot } from '../../support/process.js';
import { acceptedReload, recordEvent, stepEvent } from './fake-commands.js';
import { get, opened, post } from './place.js';
import { mismatches, resolve } from './schema.js';

type Node = Readonly<Record<string, unknown>>;

const document = openapi('0.1.0', routes) as unknown as Node;
const paths = document.paths as Record<string, Record<string, Node>>;

/** Every object in the document that has a `schema`. */
function withSchema(node: unknown): Node[] {
  if (typeof node !== 'object' || node === null) return [];
  const inner = Object.values(node).flatMap(withSchema);
  return 'schema' in node ? [node as Node, ...inner] : inner;
}

function references(node: unknown): string[] {
  if (typeof node !== 'object' || node === null) return [];
  const own = '$ref' in node ? [String(node.$ref)] : [];
  return [...own, ...Object.values(node).flatMap(references)];
}

describe('the OpenAPI document', () => {
  test('has an operation for every route and none besides', () => {
    const documented = Object.entries(paths).flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, { responses }]) => {
        const [success = ''] = Object.keys(responses as Node);
        const { content } = (responses as Record<string, { content: Node }>)[success] as { content: Node };
        return `${method.toUpperCase()} ${path} ${Object.keys(content)}`;
      }),
    );
    const served = routes.map(
      ({ method, path, isStream, isBytes }) =>
        `${method} ${path} ${isBytes === true ? 'application/octet-stream' : isStream === true ? 'application/x-ndjson' : 'application/json'}`,
    );
    assert.deepEqual(documented.sort(), served.sort());
  });

  test('gives every operation a name of its own', () => {
    const ids = Object.values(paths).flatMap((path) =>
      Object.values(path).map(({ operationId }) => operationId),
    );
    assert.equal(new Set(ids).size, routes.length);
  });

  test('has what it refers to, and uses all of its schemas', () => {
    const used = new Set(references(document));
    const there = [
      ...Object.keys(jsonSchemas()).map((name) => `#/components/schemas/${name}`),
      ...Object.keys((document.components as { responses: Node }).responses).map(
        (name) => `#/components/responses/${name}`,
      ),
    ];
    assert.deepEqual([...used].sort(), there.sort());
  });

  test('has examples that its schemas let pass', () => {
    const all = withSchema(document).flatMap(({ schema, example, examples = {} }) => [
      ...(example === undefined ? [] : [{ schema, value: example }]),
      ...Object.values(examples as Record<string, { value: unknown }>).map(({ value }) => ({
        schema,
        value,
      })),
    ]);
    assert.ok(all.length > 20, `${all.length} examples`);
    assert.deepEqual(
      all.flatMap(({ schema, value }) => mismatches(value, schema as Node)),
      [],
    );
  });

  test('agrees with the page about the control socket', () => {
    const page = readFileSync(join(repoRoot, 'docs/reference/control-api.md'), 'utf8');
    const rows = page.split('\n').filter((line) => /^\| `(GET|POST) /.test(line));
    const documented = rows.map((row) => {
      const [, route = '', fields = ''] = row.split('|');
      return `${route.trim().replaceAll('`', '')} ${(fields.match(/`\w+`/g) ?? []).sort().join(' ')}`;
    });
    const served = routes.map(({ method, path, takes }) => {
      const schema = takes === null ? null : bodies[takes];
      const entries =
        schema?.type === 'union' ? schema.options.map((option) => option.entries) : [schema?.entries ?? {}];
      const fields = [...new Set(entries.flatMap((entry) => Object.keys(entry)))];
      return `${method} ${path} ${fields
        .map((field) => `\`${field}\``)
        .sort()
        .join(' ')}`;
    });
    assert.deepEqual(documented.sort(), served.sort());
    const codes = [...page.matchAll(/^\| (\d{3}) \| `(\w+)` \|/gm)].map(([, status, code]) => [status, code]);
    const responses = (document.components as { responses: Record<string, Node> }).responses;
    for (const [name, { description }] of Object.entries(responses)) {
      const status = name.replace('Error', '');
      assert.deepEqual(
        codes.find(([found]) => found === status),
        [status, description],
        name,
      );
    }
  });

  test('is served', async (t) => {
    const { path } = await opened(t);
    const { json } = await get(path, '/v1/openapi.json');
    assert.deepEqual(json, JSON.parse(JSON.stringify(document)));
  });

  test('describes what the routes answer', async (t) => {
    const fake = await opened(t);
    const { path } = fake;
    for (const [route, name] of [
      ['/v1', 'Overview'],
      ['/v1/status', 'Status'],
      ['/v1/config', 'Config'],
      ['/v1/history', 'History'],
      ['/v1/evidence', 'EvidenceList'],
    ] as const) {
      assert.deepEqual(mismatches((await get(path, route)).json, resolve(name)), [], route);
    }
    for (const route of ['/v1/abort', '/v1/workers/1/restart', '/v1/stop']) {
      assert.deepEqual(mismatches((await post(path, route)).json, resolve('Message')), [], route);
    }
    for (const [route, name] of [
      ['stack', 'Stack'],
      ['profile', 'EvidenceFile'],
      ['heap-snapshot', 'EvidenceFile'],
    ] as const) {
      const { json } = await post(path, `/v1/workers/1/${route}`);
      assert.deepEqual(mismatches(json, resolve(name)), [], route);
    }
    const refused = await post(path, '/v1/scale', { to: 'many' });
    assert.deepEqual(mismatches(refused.json, resolve('Error')), []);
    assert.deepEqual(mismatches((await get(path, '/nowhere')).json, resolve('Error')), []);
    fake.reload = async () => {
      for (const event of [stepEvent, recordEvent]) fake.emit(event);
      return acceptedReload;
    };
    const { text } = await post(path, '/v1/reload');
    const lines = text.trim().split('\n');
    assert.equal(lines.length, 3);
    for (const line of lines) assert.deepEqual(mismatches(JSON.parse(line), resolve('ReloadLine')), []);
  });
});
