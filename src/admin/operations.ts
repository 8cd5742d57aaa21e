import type { ControlClient } from '../control/client.js';
import { RefusedByDaemon } from '../control/client-errors.js';
import type { DeployLine } from '../protocol/deploy.js';
import type { DeployTold, Operations } from './api.js';

export interface OperationsSeam {
  readonly client: Pick<ControlClient, 'jobs' | 'releases' | 'fleet'>;
  /** Called where something is other than it was. */
  readonly onChange: (operations: Operations) => void;
  readonly onDeploy: (told: DeployTold) => void;
}

/** What is planned for the service and was done with it: jobs, deploys, and the hosts of its fleet. */
export interface OperationsWatch {
  list(): Operations;
  /** Asks the daemon for what it has of them. Never rejects. */
  ask(): Promise<void>;
  /** The daemon, or its configuration, is another one: what it had not, it may have now. */
  renew(): void;
  /**
   * Begins a deploy whose lines are passed on. Resolves once it is accepted.
   * @throws RefusedByDaemon
   */
  begin(deploy: (onLine: (line: DeployLine) => void) => Promise<unknown>): Promise<object>;
}

/** Lines of the last deploy that are kept for a page that opens later. */
const mostLines = 200;
const looksUntilAskedAgain = 30;

export function createOperations({ client, onChange, onDeploy }: OperationsSeam): OperationsWatch {
  let known: Operations = { jobs: [], deploys: null, fleet: null, lines: [] };
  let told = '';
  let asking: Promise<void> | null = null;
  /** What the configuration has none of, with the looks until it is asked for again: the backplane may only be starting. */
  const absent = new Map<keyof Operations, number>();
  /** What the configuration has: a refusal is trouble, as where the backplane was killed. */
  const present = new Set<keyof Operations>();

  const askFor = async <K extends keyof Operations>(
    key: K,
    question: () => Promise<Operations[K]>,
    none: Operations[K],
  ): Promise<Pick<Operations, K> | Record<string, never>> => {
    const looks = absent.get(key) ?? 0;
    if (looks > 0) {
      absent.set(key, looks - 1);
      return {};
    }
    try {
      const answer = { [key]: await question() } as Pick<Operations, K>;
      present.add(key);
      return answer;
    } catch (error) {
      // Otherwise the daemon does not answer, which its state tells: what was known last stands.
      if (!(error instanceof RefusedByDaemon) || present.has(key)) return {};
      absent.set(key, looksUntilAskedAgain);
      return { [key]: none } as Pick<Operations, K>;
    }
  };
  const askAll = async (): Promise<void> => {
    const parts = await Promise.all([
      askFor('jobs', () => client.jobs(), []),
      askFor('deploys', () => client.releases(), null),
      askFor('fleet', () => client.fleet(), null),
    ]);
    known = Object.assign({}, known, ...parts) as Operations;
    const { lines: _, ...rest } = known;
    const now = JSON.stringify(rest);
    if (now === told) return;
    told = now;
    onChange(known);
  };
  const heard = (id: string, line: DeployLine): void => {
    const before = known.lines[0]?.id === id ? known.lines : [];
    known = { ...known, lines: [...before.slice(1 - mostLines), { id, line }] };
    onDeploy({ id, line });
  };

  return {
    list: () => known,
    ask: async () => {
      asking ??= askAll().finally(() => {
        asking = null;
      });
      await asking;
    },
    renew: () => {
      absent.clear();
      present.clear();
    },
    begin: (deploy) =>
      new Promise((resolve, reject) => {
        let id = '';
        deploy((line) => {
          if (line.type === 'answer') {
            id = line.id;
            resolve({ id, message: line.message });
          }
          heard(id, line);
        })
          // After the answer its record, or the next look at the releases, says what became of it.
          .catch(reject);
      }),
  };
}
