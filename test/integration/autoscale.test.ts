import { describe, it } from 'node:test';
import { startLoad } from '../support/load.js';
import {
  entriesOf,
  fixture,
  lostNothing,
  patient,
  patientLinger,
  serve,
  stopped,
  untilStats,
} from './service.js';

describe('a number of workers that follows the load', () => {
  it('starts at the lower end of its range, and grows under load without a loss', async (t) => {
    const service = await serve(t, {
      app: fixture('integration/works.mjs'),
      env: { ...patient, ...patientLinger, WORKERS: '1..2' },
    });
    const clients = [
      { kind: 'keep-alive', count: 4 },
      { kind: 'per-connection', count: 4 },
    ] as const;
    const load = startLoad({ t, port: service.port, path: '/', clients });
    await untilStats(service, 'a second worker', ({ wanted, ready }) => wanted === 2 && ready === 2);
    await entriesOf(service.daemon, /^scaled from 1 to 2 workers: event loops were \d+ % busy for/, 1);
    await lostNothing(load);
    await stopped(service);
  });
});
