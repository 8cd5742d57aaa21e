import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectControl } from '../../src/control/client.js';
import { parseProcStat } from '../../src/processes.js';
import { signalPid } from '../support/process.js';
import { waitFor } from '../support/wait.js';
import { fixture, patience, patient, type Service, serve, stats, stopped, untilStats } from './service.js';

const app = fixture('integration/who.cjs');
/** How long a worker gets to do what it must not do: to end before the master has read that it is drained, ms. */
const chance = 1_000;

describe('a worker that goes while the master hands out connections', {
  skip: process.platform !== 'linux',
}, () => {
  // Which worker is next depends on how many connections there were before.
  for (const before of [0, 1])
    it(`leaves none of them without an answer (after ${before} connections)`, async (t) => {
      const service = await serve(t, {
        app,
        env: { ...patient, ROM_AGENT_DISPATCH: 'round-robin', ROM_AGENT_DRAIN_TIMEOUT: '5m' },
      });
      for (let nth = 0; nth < before; nth++)
        assert.match(await answerOf(await opened(service)), /^HTTP.1.1 200/);
      const { master, workers } = await stats(service);
      const goes = workers.find(({ id }) => id === 2)?.pid ?? 0;
      assert.ok(goes > 0);
      // The worker is told to go, and does so while the master gets no CPU and connections come.
      signalPid(goes, 'SIGSTOP');
      await connectControl({ path: service.control ?? '' }).scale({ to: 1 }, 'alice');
      await untilStats(service, 'the drain', (now) => now.workers.some(({ phase }) => phase === 'draining'));
      signalPid(master.pid, 'SIGSTOP');
      const connections = await Promise.all(Array.from({ length: 4 }, () => opened(service)));
      signalPid(goes, 'SIGCONT');
      await Promise.race([waitFor('its end', () => isGone(goes), { timeout: patience }), sleep(chance)]);
      signalPid(master.pid, 'SIGCONT');
      for (const answer of await Promise.all(connections.map(answerOf)))
        assert.match(answer, /^HTTP.1.1 200/);
      await untilStats(service, 'one worker', (now) => now.workers.length === 1);
      await stopped(service);
    });
});

type Opened = Awaited<ReturnType<typeof opened>>;

async function opened({ port }: Service) {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
  return socket;
}

async function answerOf(socket: Opened): Promise<string> {
  socket.setTimeout(patience, () => socket.destroy(new Error('not answered')));
  return text(socket);
}

function isGone(pid: number): boolean {
  try {
    return parseProcStat(readFileSync(`/proc/${pid}/stat`, 'utf8')).state === 'Z';
  } catch {
    return true;
  }
}
