import { seconds } from '../core/workers.js';
import type { RequestNote } from '../protocol/requests.js';

/** `GET /report in flight for 12 s`; empty where there are none. */
export function inFlight(requests: readonly RequestNote[]): string {
  if (requests.length === 0) return '';
  const oldest = [...requests].sort((a, b) => b.ageMs - a.ageMs).slice(0, mostNamed);
  const words = oldest.map(({ method, path, ageMs }) => `${method} ${path} for ${seconds(ageMs)}`);
  const more = requests.length - oldest.length;
  return `in flight: ${words.join(', ')}${more === 0 ? '' : `, ${more} more`}`;
}

/** How many requests are named: the oldest, which are more to blame. */
const mostNamed = 3;
