import { inFlightSymbol } from '../../protocol/capture.js';
import type { RequestNote } from '../../protocol/requests.js';
import type { Servers } from '../connections/servers.js';

export interface Current {
  readonly inFlight: number;
  readonly requests: readonly RequestNote[];
}

export function currentOf(servers: Pick<Servers, 'counts' | 'current'>): Current {
  return { inFlight: servers.counts().inFlight, requests: servers.current() };
}

/**
 * Where the thread of witness.ts finds what is in flight while this process spins: a hung worker cannot be asked otherwise,
 * and the request that it hangs in is younger than its last beat. See master/capture.
 */
export function exposeCurrent(process: object, servers: Pick<Servers, 'counts' | 'current'>): void {
  Object.defineProperty(process, Symbol.for(inFlightSymbol), { value: () => currentOf(servers) });
}
