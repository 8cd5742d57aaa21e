import assert from 'node:assert/strict';
import { createServer, get, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { addCookie } from '../../../../src/worker/transfer/sticky-cookie.js';

/** The fields of an answer, as they are on the wire, without those that Node adds. */
async function fieldsOf(t: TestContext, answer: (response: ServerResponse) => void): Promise<string[]> {
  const server = createServer((_request, response) => {
    response.sendDate = false;
    answer(response);
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => void server.close().closeAllConnections());
  const { port } = server.address() as AddressInfo;
  return new Promise((resolve, reject) => {
    get({ port, host: '127.0.0.1', agent: false }, (incoming) => {
      incoming.resume();
      const fields = incoming.rawHeaders.flatMap((name, at, all) =>
        at % 2 === 0 ? `${name}: ${all[at + 1]}` : [],
      );
      resolve(
        fields.filter((field) => !/^(Connection|Keep-Alive|Transfer-Encoding|Content-Length):/.test(field)),
      );
    }).on('error', reject);
  });
}

const ways: Readonly<Record<string, (response: ServerResponse) => void>> = {
  nothing: () => {},
  setHeader: (response) => response.setHeader('Set-Cookie', 'a=1'),
  'setHeader with two': (response) => response.setHeader('set-cookie', ['a=1', 'b=2']),
  appendHeader: (response) => {
    response.appendHeader('Set-Cookie', 'a=1');
    response.appendHeader('Set-Cookie', 'b=2');
  },
  setHeaders: (response) => response.setHeaders(new Map([['Set-Cookie', 'a=1']])),
  'writeHead alone': (response) => response.writeHead(200),
  'writeHead with fields': (response) => response.writeHead(200, { 'SET-COOKIE': 'a=1', X: 'y' }),
  'writeHead with other fields': (response) => response.writeHead(200, { X: 'y' }),
  'writeHead with a list of cookies': (response) =>
    response.writeHead(200, 'Fine', { 'Set-Cookie': ['a=1', 'b=2'] }),
  'writeHead with raw fields': (response) =>
    response.writeHead(200, ['Set-Cookie', 'a=1', 'X', 'y', 'Set-Cookie', 'b=2']),
  'writeHead with other raw fields': (response) => response.writeHead(200, ['X', 'y', 'X', 'z']),
  'writeHead with pairs': (response) =>
    response.writeHead(200, [
      ['Set-Cookie', 'a=1'],
      ['X', 'y'],
    ] as never),
  'setHeader, and writeHead with others': (response) => {
    response.setHeader('Set-Cookie', 'a=1');
    response.writeHead(200, { X: 'y' });
  },
  'setHeader, and writeHead with other raw fields': (response) => {
    response.setHeader('Set-Cookie', 'a=1');
    response.writeHead(200, ['X', 'y']);
  },
  'setHeader, and writeHead with another cookie': (response) => {
    response.setHeader('Set-Cookie', 'a=1');
    response.writeHead(200, { 'Set-Cookie': 'b=2' });
  },
  'setHeader, and writeHead with raw cookies': (response) => {
    response.setHeader('Set-Cookie', 'a=1');
    response.writeHead(200, ['Set-Cookie', 'b=2', 'Set-Cookie', 'c=3']);
  },
  removeHeader: (response) => response.removeHeader('Set-Cookie'),
  flushHeaders: (response) => response.flushHeaders(),
  'a status that is none, and then one': (response) => {
    response.setHeader('X', 'y');
    assert.throws(() => response.writeHead(7), /ERR_HTTP_INVALID_STATUS_CODE|Invalid status code/);
    response.writeHead(200);
  },
};

describe('the sticky cookie', { timeout: 60_000 }, () => {
  for (const [way, answer] of Object.entries(ways)) {
    test(`comes beside what the app sets by ${way}`, async (t) => {
      const plain = await fieldsOf(t, answer);
      const both = await fieldsOf(t, (response) => {
        addCookie(response, 'w=1.1; Path=/');
        assert.equal(response.getHeader('set-cookie'), undefined, 'the app does not see it');
        answer(response);
      });
      const cookie = both.filter((field) => field.endsWith(': w=1.1; Path=/'));
      assert.equal(cookie.length, 1, both.join('\n'));
      assert.deepEqual(
        both.filter((field) => !cookie.includes(field)),
        plain,
      );
    });
  }

  test('leaves alone what a head was written for', async (t) => {
    await fieldsOf(t, (response) => {
      addCookie(response, 'w=1.1');
      response.writeHead(200);
      assert.throws(() => response.writeHead(200), /ERR_HTTP_HEADERS_SENT|Cannot write headers/);
    });
  });
});
