import type { ControlClient } from '../../control/client.js';
import { RomAgentError } from '../../errors.js';
import type { LogLine } from '../../protocol/log-line.js';
import { mostWhyLines, type WhyLine } from '../../protocol/why.js';

/** Which process was which worker's: what an app prints bears no more than the PID of its process. */
export interface Owners {
  note(pid: number, worker: number, atMs: number): void;
  /** The line with its worker, where that is known. */
  named(line: LogLine): LogLine;
}

export function createOwners(): Owners {
  // PIDs are used again: each has had its workers from some time on, oldest first.
  const owners = new Map<number, { readonly worker: number; readonly sinceMs: number }[]>();
  return {
    note: (pid, worker, sinceMs) => {
      const known = owners.get(pid);
      if (known === undefined) owners.set(pid, [{ worker, sinceMs }]);
      else if (known.at(-1)?.worker !== worker) known.push({ worker, sinceMs });
    },
    named: (line) => {
      const { worker, pid, from, atMs } = line;
      if (worker !== null || pid === null || from !== 'app') return line;
      const known = owners.get(pid) ?? [];
      // An app prints before the record knows the PID of its process.
      const owner = known.findLast(({ sinceMs }) => sinceMs <= atMs) ?? known[0];
      return owner === undefined ? line : { ...line, worker: owner.worker };
    },
  };
}

export interface OwnersSource {
  readonly client: Pick<ControlClient, 'why' | 'status'>;
  /** The record of a service that does not answer. */
  readonly recorded: () => Promise<readonly WhyLine[]>;
  /** Wall clock, ms since 1970. */
  readonly clock: () => number;
}

/** Those of the workers that are gone, by the record of decisions, and of those that run. */
export async function findOwners({ client, recorded, clock }: OwnersSource): Promise<Owners> {
  const owners = createOwners();
  const { lines } = await client.why({ lines: mostWhyLines }).catch(async (error: unknown) => {
    if (error instanceof RomAgentError) return { lines: await recorded() };
    throw error;
  });
  for (const { pid, worker, at } of lines) {
    if (pid !== null && worker !== null) owners.note(pid, worker, Date.parse(at));
  }
  const stats = await client.status().catch((error: unknown) => {
    if (error instanceof RomAgentError) return null;
    throw error;
  });
  for (const { id, pid } of stats?.workers ?? []) {
    if (id !== null && pid !== null) owners.note(pid, id, clock());
  }
  return owners;
}
