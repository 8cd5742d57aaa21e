import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { describe, test } from 'node:test';
import type { Listen } from '../../../../src/protocol/settings.js';
import { addressOf, isPassed, passedTo, redirectToPassed } from '../../../../src/worker/app/target.js';
import type { ListenOptions } from '../../../../src/worker/connections/servers.js';

const tcp = (fd: number, port: number) => ({ fd, name: 'http', port, path: null });
const unix = (fd: number, path: string) => ({ fd, name: 'http', port: null, path });

function passed(...sockets: Extract<Listen, { kind: 'fds' }>['sockets'][number][]): Listen {
  return { kind: 'fds', sockets, port: 3000 };
}

/** The descriptor that a listen() with these options is sent to. */
function descriptor(options: ListenOptions, listen: Listen): number | undefined {
  const server = createServer();
  redirectToPassed({ server, options: Object.freeze(options) }, listen);
  return passedTo(server)?.fd;
}

describe('redirect, where sockets were passed in', () => {
  const listen = passed(unix(3, '/run/app.sock'), tcp(4, 80), tcp(5, 8080), unix(6, '@abstract'));

  test('sends a port to the socket that is bound to it', () => {
    assert.equal(descriptor({ port: 8080 }, listen), 5);
    assert.equal(descriptor({ port: '80', host: '127.0.0.1' }, listen), 4);
  });

  test('sends the configured port to the first TCP socket where none is bound to it', () => {
    assert.equal(descriptor({ port: 3000 }, listen), 4);
  });

  test('takes one of which nothing is known for TCP, and a path never', () => {
    const dark = { fd: 4, name: 'x', port: null, path: null };
    assert.equal(descriptor({ port: 3000 }, passed(unix(3, '/run/app.sock'), dark)), 4);
    assert.equal(descriptor({ port: 3000 }, passed(unix(3, '/run/app.sock'))), undefined);
  });

  test('sends a path to the socket that is bound to it', () => {
    assert.equal(descriptor({ path: '/run/app.sock' }, listen), 3);
    assert.equal(descriptor({ path: '/run/./app.sock' }, listen), 3);
    assert.equal(descriptor({ path: '\0abstract' }, listen), 6);
  });

  test('leaves every other listen() as it is', () => {
    const others = [{ port: 9090 }, { port: 0 }, { port: null }, {}, { path: '/run/other.sock' }, { fd: 9 }];
    for (const options of others) assert.equal(descriptor(options, listen), undefined);
  });

  test('knows the servers on passed sockets, and the path that Node does not know', () => {
    const server = createServer();
    redirectToPassed({ server, options: { path: '/run/app.sock' } }, listen);
    assert.ok(isPassed(server));
    assert.equal(addressOf(server), '/run/app.sock');
    assert.ok(!isPassed(createServer()));
  });
});
