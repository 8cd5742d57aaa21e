import { type Collector, createCollector } from '../metrics/collect.js';
import type { RequestTally } from '../metrics/tally.js';
import type { WorkerSettings } from '../protocol/settings.js';
import type { Servers } from './connections/servers.js';
import type { Shed } from './shed/shed.js';

/** The worker's metrics; prom-client of the app is looked for only when it is asked for. */
export function collectorOf({
  settings,
  servers,
  tally,
  shed,
}: {
  readonly settings: WorkerSettings;
  readonly servers: Servers;
  readonly tally: RequestTally;
  readonly shed: Shed | null;
}): Collector {
  const readApp = async () => (await import('../metrics/app-registry.js')).readAppRegistry();
  return createCollector({
    tally,
    counts: servers.counts,
    shed: () => shed?.report().requests ?? 0,
    readApp: settings.metrics.app === 'on' ? readApp : null,
  });
}
