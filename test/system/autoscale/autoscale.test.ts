import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { connectControl } from '../../../src/control/client.js';
import {
  entries,
  fixture,
  lostNothing,
  patient,
  patientLinger,
  problems,
  type Service,
  serve,
  stats,
  stopped,
  untilStats,
} from '../../integration/service.js';
import { startLoad } from '../../support/load.js';

const app = fixture('integration/works.mjs');
const much = [
  { kind: 'keep-alive', count: 8 },
  { kind: 'per-connection', count: 8 },
] as const;
const little = [
  { kind: 'keep-alive', count: 2, pauseMs: 100 },
  { kind: 'per-connection', count: 2, pauseMs: 100 },
] as const;

function client({ control = '' }: Service) {
  return connectControl({ path: control });
}

describe('a number of workers that follows the load', () => {
  it('grows to the upper end and shrinks to the lower one, and nothing is lost', async (t) => {
    const service = await serve(t, {
      app,
      env: {
        ...patient,
        ...patientLinger,
        ...{ WORKERS: '1..4', ROM_AGENT_SCALE_DOWN_AFTER: '3s' },
      },
    });
    assert.equal((await stats(service)).wanted, 1);
    const steady = startLoad({ t, port: service.port, path: '/?ms=1', clients: little, maxMs: 600_000 });
    const load = startLoad({ t, port: service.port, path: '/', clients: much, maxMs: 600_000 });
    await untilStats(service, 'four workers', ({ wanted, ready }) => wanted === 4 && ready === 4);
    await lostNothing(load);
    const calm = await untilStats(
      service,
      'one worker',
      ({ wanted, workers }) => wanted === 1 && workers.length === 1,
    );
    assert.equal(calm.autoscale?.last?.to, 1);
    await lostNothing(steady);
    const said = entries(service.daemon).filter(({ msg }) => msg.startsWith('scaled'));
    assert.ok(said.length >= 2, said.map(({ msg }) => msg).join('\n'));
    assert.deepEqual(problems(service.daemon), []);
    await stopped(service);
  });

  it('stays as an operator wants it until it may follow the load again', async (t) => {
    const service = await serve(t, {
      app,
      env: { ...patient, ...patientLinger, WORKERS: '1..2', ROM_AGENT_SCALE_DOWN_AFTER: '1s' },
    });
    const load = startLoad({ t, port: service.port, path: '/', clients: much, maxMs: 600_000 });
    await client(service).scale({ to: 3 }, 'alice');
    await untilStats(
      service,
      'three workers',
      ({ ready, autoscale }) => ready === 3 && autoscale?.held === true,
    );
    await client(service).scale({ auto: true }, 'alice');
    await untilStats(
      service,
      'two workers',
      ({ wanted, workers, autoscale }) => wanted === 2 && workers.length === 2 && autoscale?.held === false,
    );
    await lostNothing(load);
    await stopped(service);
  });

  it('is not changed while a reload is under way', async (t) => {
    const service = await serve(t, {
      app,
      env: { ...patient, ...patientLinger, WORKERS: '1..2', ROM_AGENT_RELOAD_SOAK: '5s' },
    });
    const ended = client(service).reload({ by: 'alice', soak: true, rollback: true }, () => {});
    await untilStats(service, 'the reload', ({ lastReload }) => lastReload?.verdict === null);
    const load = startLoad({ t, port: service.port, path: '/', clients: much, maxMs: 600_000 });
    await ended;
    await untilStats(service, 'two workers', ({ wanted, ready }) => wanted === 2 && ready === 2);
    await lostNothing(load);
    const order = entries(service.daemon).flatMap(
      ({ msg }) => /^(scaled|reload to generation 2 done)/.exec(msg)?.[0] ?? [],
    );
    assert.deepEqual(order.slice(0, 2), ['reload to generation 2 done', 'scaled']);
    await stopped(service);
  });
});
