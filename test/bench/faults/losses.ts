import type { Loss } from '../../support/load.js';

/** A loss and when it was noticed: wall clock, ms. */
export interface Noticed extends Loss {
  readonly at: number;
}

/** What a process wrote when it got a connection. */
export interface Owned {
  readonly pid: number;
  readonly port: number;
  readonly at: number;
}

/** Who and what was inside of a process that is gone. */
export interface Gone {
  /** PIDs that the fault was allowed to take. */
  readonly pids: ReadonlySet<number>;
  /** Connections that were seen in one of them. */
  readonly ports: ReadonlySet<number>;
  /** No process of the service has outlived the fault: what was accepted was inside, whoever had it. */
  readonly everybody: boolean;
}

export type LostKind = 'refused' | 'reset' | 'timeout' | 'status';

export interface Losses {
  readonly byKind: Readonly<Record<LostKind, number>>;
  /** Lost with the process that had them. */
  readonly inside: number;
  /** Lost though no process that had them died: nobody may lose any. */
  readonly outside: number;
  /** The first of the latter, in words. */
  readonly examples: readonly string[];
}

/** The two sides' clocks are one, but they are not read at one moment. */
const tolerance = 10;

export function parseOwners(text: string): Owned[] {
  return text.split('\n').flatMap((line) => {
    const [pid, port, at] = line.split(' ').map(Number);
    return pid && port && at ? [{ pid, port, at }] : [];
  });
}

export function sortOut(lost: readonly Noticed[], owners: readonly Owned[], gone: Gone): Losses {
  const byPort = groupByPort(owners);
  const isInside = (loss: Noticed) => wasInside(loss, ownerOf(loss, byPort), gone);
  const outside = lost.filter((loss) => !isInside(loss));
  const count = (...kinds: readonly Loss['kind'][]) => lost.filter(({ kind }) => kinds.includes(kind)).length;
  return {
    byKind: {
      refused: count('refused'),
      reset: count('reset', 'eof', 'connect'),
      timeout: count('timeout'),
      status: count('status', 'malformed'),
    },
    inside: lost.length - outside.length,
    outside: outside.length,
    examples: outside.slice(0, 3).map((loss) => describe(loss, ownerOf(loss, byPort))),
  };
}

function groupByPort(owners: readonly Owned[]): ReadonlyMap<number, readonly Owned[]> {
  const groups = new Map<number, Owned[]>();
  for (const owned of owners) {
    const group = groups.get(owned.port);
    if (group === undefined) groups.set(owned.port, [owned]);
    else group.push(owned);
  }
  return groups;
}

/** A port may have been used before, and a connection may have been handed from one process to another. */
function ownerOf({ connection, at }: Noticed, byPort: ReadonlyMap<number, readonly Owned[]>): number | null {
  if (connection?.port == null) return null;
  const { opened, port } = connection;
  const fits = (byPort.get(port) ?? []).filter(
    (owned) => owned.at >= opened - tolerance && owned.at <= at + tolerance,
  );
  return fits.at(-1)?.pid ?? null;
}

function wasInside({ kind, connection }: Noticed, owner: number | null, gone: Gone): boolean {
  if (kind !== 'reset' && kind !== 'eof' && kind !== 'timeout') return false;
  if (owner !== null && gone.pids.has(owner)) return true;
  if (connection?.port != null && gone.ports.has(connection.port)) return true;
  // The socket was open all the time, and an open one resets nobody who waits in its queue.
  return gone.everybody && kind !== 'timeout';
}

function describe({ kind, client, connection, at }: Noticed, owner: number | null): string {
  const age = connection === null ? '' : `, ${at - connection.opened} ms after it was opened`;
  const who = owner === null ? 'nobody had it' : `process ${owner} had it`;
  return `${kind} (${client}): ${who}${age}`;
}
