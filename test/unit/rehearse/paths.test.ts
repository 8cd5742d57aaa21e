import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fromHar, fromList, fromOpenApi } from '../../../src/rehearse/paths.js';

const get = (path: string) => ({ method: 'GET', path });

describe('a list of paths', () => {
  test('has a path a line, or a method and a path, and comments', () => {
    const { samples, leftOut } = fromList('# shop\n/\nPOST /cart?now=1\n\n/\n', 'paths.txt');
    assert.deepEqual(samples, [get('/'), { method: 'POST', path: '/cart?now=1' }]);
    assert.equal(leftOut, null);
  });

  test('that has something else says where, and what would be right', () => {
    assert.throws(() => fromList('/\nhttp://x/\n', 'paths.txt'), {
      message:
        '--paths paths.txt:2: "http://x/" is not right: expected a path such as "/cart", or a method and a path such as "POST /cart"',
      exitCode: 64,
    });
    assert.throws(() => fromList('# nothing\n', 'paths.txt'), /expected a file with at least one path/);
  });

  test('of more than fifty says how many are left out', () => {
    const text = Array.from({ length: 60 }, (_, index) => `/${index}`).join('\n');
    const { samples, leftOut } = fromList(text, 'paths.txt');
    assert.deepEqual([samples.length, leftOut], [50, '10 of 60 paths']);
  });
});

describe('an HTTP archive', () => {
  const entry = (method: string, url: string) => ({ request: { method, url, headers: [] } });
  const har = (...entries: readonly unknown[]) => JSON.stringify({ log: { entries } });

  test('gives the paths of the page, without what changes something and what is elsewhere', () => {
    const text = har(
      entry('GET', 'http://localhost:3000/shop?page=2'),
      entry('GET', 'https://cdn.example/x.js'),
      entry('POST', 'http://localhost:3000/cart'),
      entry('GET', 'data:text/plain,x'),
    );
    const { samples, leftOut } = fromHar(text, 'a.har');
    assert.deepEqual(samples, [get('/shop?page=2')]);
    assert.match(leftOut ?? '', /^1 with another method than GET/);
  });

  test('that is none is refused', () => {
    for (const text of ['', '[]', '{}', '{"log":{"entries":5}}', har({}, { request: null }), 'null'])
      assert.throws(() => fromHar(text, 'a.har'), { exitCode: 64 }, text);
  });
});

describe('an OpenAPI document', () => {
  const parameter = (name: string, where: string, schema: object, required = true) => ({
    name,
    in: where,
    required,
    schema,
  });

  test('gives its GET operations with the examples of their parameters', () => {
    const document = {
      servers: [{ url: 'https://shop.example/v1/' }],
      components: { parameters: { id: parameter('id', 'path', { example: 'a b' }) } },
      paths: {
        '/items': { get: { parameters: [parameter('q', 'query', { default: 'shoes' })] }, post: {} },
        '/items/{id}': { parameters: [{ $ref: '#/components/parameters/id' }], get: {} },
        '/orders/{id}': { get: { parameters: [parameter('id', 'path', {})] } },
        '/optional': { get: { parameters: [parameter('page', 'query', {}, false)] } },
      },
    };
    const { samples, leftOut } = fromOpenApi(JSON.stringify(document), 'api.json');
    assert.deepEqual(
      samples.map(({ path }) => path),
      ['/v1/items?q=shoes', '/v1/items/a%20b', '/v1/optional'],
    );
    assert.match(leftOut ?? '', /^2 /);
  });

  test('that is none is refused', () => {
    for (const text of ['openapi: 3.0.0', '{}', '{"paths":null}', '{"paths":{"/x":{"post":{}}}}'])
      assert.throws(() => fromOpenApi(text, 'api.json'), { exitCode: 64 }, text);
  });
});
