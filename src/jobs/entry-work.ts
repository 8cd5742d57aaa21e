import type { JobWork } from '../settings/jobs.js';
import type { ZoneTable } from './zones.js';

/** The variable in which the process of main.ts finds what to do. */
export const workVariable = 'ROM_AGENT_JOB';

export type EntryWork =
  | Extract<JobWork, { kind: 'module' }>
  | (Extract<JobWork, { kind: 'request' }> & {
      /** Where the own service listens: a URL, or the path of a unix socket. */
      readonly url: string;
      readonly job: string;
    })
  /** Not a job: prints ZoneTables. */
  | { readonly kind: 'zones'; readonly names: readonly string[]; readonly aroundMs: number };

/** By name; null: there is no such zone. */
export type ZoneTables = Readonly<Record<string, ZoneTable | null>>;
