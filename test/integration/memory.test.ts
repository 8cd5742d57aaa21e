import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startLoad } from '../support/load.js';
import {
  connectToEach,
  entriesOf,
  fixture,
  lostNothing,
  patient,
  patientLinger,
  problems,
  say,
  serve,
  stopped,
  untilStats,
} from './service.js';

const app = fixture('integration/sick.mjs');

describe('a worker with too much memory', { timeout: 1_800_000 }, () => {
  for (const [what, { path, env, says }] of Object.entries({
    'over its limit of the resident set': {
      path: '/buffers?mib=300',
      env: { ROM_AGENT_MEMORY_MAX_RSS: '256', MAX_OLD_SPACE_SIZE: '128' },
      says: /^worker \d .*(resident|RSS)/i,
    },
    'near the limit of its heap': {
      path: '/heap?mib=85',
      env: { MAX_OLD_SPACE_SIZE: '128', ROM_AGENT_MEMORY_MAX_HEAP: '50' },
      says: /^worker \d .*heap/,
    },
  })) {
    it(`${what} is replaced by a new one first, and no request is lost`, async (t) => {
      const service = await serve(t, { app, env: { ...env, ...patient, ...patientLinger } });
      const load = startLoad({
        t,
        port: service.port,
        path: '/',
        clients: [{ kind: 'keep-alive', count: 8, pauseMs: 50 }],
      });
      const met = await connectToEach(t, service);
      const [[victim, connection] = assert.fail()] = met;
      await say(connection, path);
      // Idle ones would keep the drain waiting.
      for (const each of met.values()) each.close();
      await entriesOf(service.daemon, says, 1);
      await untilStats(
        service,
        'another worker in its place',
        ({ ready, workers }) => ready === 2 && workers.every(({ pid }) => pid !== victim),
      );
      await lostNothing(load);
      assert.equal(problems(service.daemon).filter((msg) => /crashed|hung/.test(msg)).length, 0);
      await stopped(service);
    });
  }
});
