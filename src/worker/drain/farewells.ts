import type { Socket } from 'node:net';
import type { TrackedServer, Upgrade } from '../connections/follow-server.js';
import type { DrainCall, DrainOptions } from './drain.js';
import { createGoodBye } from './go-away.js';

/** Tells what is not plain HTTP/1 to go, once each. */
export interface Farewells {
  /** To be called again and again: what begins during the drain is told then, and whose turn it is. */
  tell(entries: readonly Pick<TrackedServer, 'sessions' | 'upgraded'>[]): void;
}

/** How many WebSockets are told at once, and how many a second after that, where the time suffices. */
const burst = 100;
const perSecond = 500;
/** The share of a drain in which all of them are told: they have the rest to end. */
const share = 1 / 3;

export function createFarewells(
  { linger, closeWebSockets }: Pick<DrainOptions, 'linger' | 'closeWebSockets'>,
  { last, timeout }: Pick<DrainCall, 'last' | 'timeout'>,
  now: () => number = () => performance.now(),
): Farewells {
  const goodBye = createGoodBye({ linger });
  const began = now();
  const told = new WeakSet<object>();
  let count = 0;

  const sayGoodBye = (sockets: readonly (readonly [Socket, Upgrade])[]): void => {
    const total = count + sockets.length;
    // Nobody is left for them to come back to at once.
    const due = last ? total : farewellsDue({ total, elapsed: now() - began, limit: timeout * share });
    for (const [socket, { end }] of sockets) {
      if (count >= due) return;
      if (end?.goAway() !== true) continue;
      told.add(socket);
      count++;
    }
  };
  return {
    tell: (entries) => {
      for (const { sessions } of entries) {
        for (const session of sessions.keys()) goodBye.tell(session);
      }
      if (!closeWebSockets) return;
      sayGoodBye(
        entries.flatMap(({ upgraded }) =>
          [...upgraded].filter(([socket, { end }]) => end !== null && !told.has(socket)),
        ),
      );
    },
  };
}

/**
 * How many WebSockets are to be told by now: told all at once they would all come back at once, to few workers.
 *
 * @param options how many there are; how long the drain has lasted and in which time all are told, ms
 */
export function farewellsDue({
  total,
  elapsed,
  limit,
}: {
  readonly total: number;
  readonly elapsed: number;
  readonly limit: number;
}): number {
  if (elapsed >= limit) return total;
  const rate = Math.max(perSecond / 1_000, total / limit);
  return Math.min(total, burst + Math.floor(elapsed * rate));
}
