import assert from 'node:assert/strict';
import { createServer, get, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import {
  addCookie,
  cookieField,
  cookieValue,
  newestOf,
  rendezvous,
  workerOf,
} from '../../../../src/worker/transfer/sticky.js';

const addresses = Array.from({ length: 2_000 }, (_, nth) => `10.0.${nth >> 8}.${nth & 255}`);

function slotsOf(slots: readonly number[]): number[] {
  return addresses.map((address) => rendezvous(address, slots, (slot) => slot) ?? 0);
}

describe('rendezvous', () => {
  test('spreads addresses evenly, neighbours too', () => {
    const slots = slotsOf([1, 2, 3, 4]);
    for (const slot of [1, 2, 3, 4]) {
      const share = slots.filter((chosen) => chosen === slot).length / slots.length;
      assert.ok(share > 0.22 && share < 0.28, `slot ${slot} has ${share}`);
    }
  });

  test('moves to a slot that is added what it gets, and nothing else', () => {
    const before = slotsOf([1, 2, 3]);
    const after = slotsOf([3, 1, 2, 4]);
    const moved = after.filter((slot, nth) => slot !== before[nth]);
    assert.ok(moved.every((slot) => slot === 4));
    assert.ok(moved.length > 400 && moved.length < 600, `${moved.length} of 2000`);
  });

  test('has nobody to choose where nobody is', () => {
    assert.equal(
      rendezvous('a', [], () => 0),
      undefined,
    );
  });
});

describe('the cookie', () => {
  const ready = [
    { key: 4, slot: 1 },
    { key: 9, slot: 2 },
    { key: 7, slot: 2 },
  ];
  const keyOf = (field: string) => workerOf(field, { cookie: 'w', ready })?.key;

  test('means its worker, and the newest of its slot once that is gone', () => {
    assert.equal(cookieValue({ key: 4, slot: 1 }), '1.4');
    assert.equal(keyOf('w=1.4'), 4);
    assert.equal(keyOf('a=b; w=2.7; c=d'), 7);
    assert.equal(keyOf('w=2.3'), 9);
    assert.equal(newestOf(ready, 3), undefined);
  });

  test('means nobody where it is wrong, of another name, or of a slot that is gone', () => {
    for (const field of [
      '',
      'w',
      'w=',
      'w=1',
      'w=1.',
      'w=x.y',
      'w=-1.4',
      'ww=1.4',
      'w=3.4000',
      'w=1.4e9',
      '=;;=',
    ])
      assert.equal(keyOf(field), undefined, field);
  });

  test('is found in a head, however the field is written', () => {
    const head =
      'GET /cookie: w=5.5 HTTP/1.1\r\nHost: a\r\ncOOkie:w=1.4; x=y \r\nCookie: z=1\r\n\r\nCookie: w=9.9';
    assert.equal(cookieField(head), 'w=1.4; x=y; z=1');
    assert.equal(cookieField('GET / HTTP/1.1\r\nHost: a\r\n'), '');
  });
});

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
