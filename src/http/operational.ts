import type { RequestListener, Server } from 'node:http';
import { divert } from './divert.js';
import { checkPrefix, isUnder } from './prefix.js';

export interface Operational {
  readonly handle: RequestListener;
  /** Path such as `/_ops`. */
  readonly prefix: string;
}

/**
 * Lets an app's own http or https server answer the operational routes as well.
 *
 * Returns the undo function.
 * @throws {RangeError} for a prefix that is not a path.
 */
export function mountOperational(server: Server, { handle, prefix }: Operational): () => void {
  checkPrefix(prefix);
  return divert(server, { takes: ({ url }) => isUnder(prefix, url), handle });
}
