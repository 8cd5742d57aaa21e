/** From where a deploy was asked for. */
export const deployOrigins = ['command', 'hook', 'schedule', 'fleet', 'rollback', 'init'] as const;
export type DeployOrigin = (typeof deployOrigins)[number];

/**
 * `done`: the release serves; `unchanged`: it served already; `failed`: it never became `current`; `rolled-back`: its reload
 * was; `interrupted`: the deploy was killed, and the release before serves.
 */
export const deployVerdicts = ['done', 'unchanged', 'failed', 'rolled-back', 'interrupted'] as const;
export type DeployVerdict = (typeof deployVerdicts)[number];

export interface DeployOptions {
  /** Who asks, a label. */
  readonly by: string;
  /** Branch, tag or commit; for a tarball what stands for `{ref}` in its URL. Without: `deploy.ref`. */
  readonly ref?: string | undefined;
  /** What the ref led to on the host before this one, as in DeployRecord: a branch may have moved since. */
  readonly commit?: string | undefined;
  /** Only says what it would do, and whether it could. */
  readonly dryRun?: boolean | undefined;
  readonly origin?: Exclude<DeployOrigin, 'rollback' | 'init'> | undefined;
}

export interface RollbackOptions {
  readonly by: string;
  /** A release that is there. Without: the last one that was proven before the current one. */
  readonly release?: string | undefined;
}

/** What a deploy is at, in its order. */
export const deployStages = ['check', 'fetch', 'step', 'seal', 'switch', 'reload', 'back', 'prune'] as const;
export type DeployStage = (typeof deployStages)[number];

/** One deploy that is over. */
export interface DeployRecord {
  /** Of the release. */
  readonly id: string;
  readonly ref: string | null;
  /** Of git, where the source is a repository; the SHA-256 of a tarball. */
  readonly commit: string | null;
  readonly by: string;
  readonly origin: DeployOrigin;
  /** Wall clock, ms since 1970. */
  readonly atMs: number;
  readonly tookMs: number;
  readonly verdict: DeployVerdict;
  /** Null with `done`. */
  readonly reason: string | null;
  /** The release that served before; null: none. */
  readonly previous: string | null;
}

/** A directory below `releases`. */
export interface ReleaseEntry {
  readonly id: string;
  readonly isCurrent: boolean;
  /** The last deploy of it; null: none is known. */
  readonly deploy: DeployRecord | null;
}

export interface ReleasesAnswer {
  /** Absolute path, `deploy.directory`. */
  readonly directory: string;
  readonly current: string | null;
  /** Newest first. */
  readonly releases: readonly ReleaseEntry[];
  /** The last 50, newest first. */
  readonly deploys: readonly DeployRecord[];
  /** The one in progress. */
  readonly underWay: DeployUnderWay | null;
}

export interface DeployUnderWay {
  readonly id: string;
  readonly by: string;
  readonly origin: DeployOrigin;
  readonly atMs: number;
  readonly stage: DeployStage;
}

/** What ClusterStats says of deploys. */
export interface DeploySummary {
  readonly current: string | null;
  readonly commit: string | null;
  readonly underWay: string | null;
  readonly last: Pick<DeployRecord, 'id' | 'verdict' | 'atMs' | 'tookMs'> | null;
}

/** What a dry run found. */
export interface DeployFinding {
  /** `disk`, `source`, `user`, `steps`, `directory`, `app`, `window`, `git`. */
  readonly what: string;
  readonly isGood: boolean;
  readonly detail: string;
}

/** What a deploy sends while it is in progress: its answer first, its record last; a dry run ends with its plan. */
export type DeployLine =
  | { readonly type: 'answer'; readonly accepted: true; readonly id: string; readonly message: string }
  | {
      readonly type: 'stage';
      /** Since the deploy began. */
      readonly atMs: number;
      readonly stage: DeployStage;
      /** Of the step. */
      readonly name: string | null;
      readonly detail: string;
    }
  /** What a command has written, line by line; bounded. */
  | { readonly type: 'output'; readonly name: string; readonly text: string }
  | { readonly type: 'plan'; readonly isGood: boolean; readonly findings: readonly DeployFinding[] }
  | { readonly type: 'record'; readonly record: DeployRecord };

export type DeployAnswer =
  | { readonly accepted: true; readonly id: string; readonly message: string }
  | { readonly accepted: false; readonly reason: string };

/** The variable by which the deploy's process gets its DeployOrder, and by which what it starts is found. */
export const deployVariable = 'ROM_AGENT_DEPLOY';
export const deployMark = 'ROM_AGENT_DEPLOY_MARK';

/** One command of a deploy. */
export interface DeployStep {
  readonly name: string;
  readonly command: readonly string[];
  readonly timeoutMs: number;
}

/** The settings of `[deploy]`, as the process gets them. */
export interface DeploySettings {
  readonly source: string;
  readonly ref: string | null;
  readonly sha256: string | null;
  readonly directory: string;
  readonly steps: readonly DeployStep[];
  readonly fetchTimeoutMs: number;
  readonly user: string | null;
  readonly env: Readonly<Record<string, string>>;
  readonly keep: number;
  readonly minFreeBytes: number;
  readonly minFreeInodes: number;
  readonly window: string | null;
  /** The app's path and the working directory, of which one has to lead through `current`. */
  readonly app: string | null;
  readonly workingDirectory: string | null;
}

/** What the master wants of the process that it starts. */
export type DeployOrder =
  | ({ readonly kind: 'deploy'; readonly id: string; readonly options: DeployOptions } & OrderContext)
  | ({ readonly kind: 'rollback'; readonly id: string; readonly options: RollbackOptions } & OrderContext)
  /** Goes on with what a process before has left, or goes back. */
  | ({ readonly kind: 'resume' } & OrderContext);

interface OrderContext {
  readonly settings: DeploySettings;
  /** Absolute path; null: there is no daemon to reload (`deploy --init`). */
  readonly controlSocket: string | null;
}

/** What the process tells the master. The last one is a `plan` or a `record`, or `refused`. */
export type DeployMessage =
  | { readonly type: 'line'; readonly line: DeployLine }
  | { readonly type: 'accepted'; readonly id: string; readonly message: string }
  | { readonly type: 'refused'; readonly reason: string }
  /** There was nothing to go on with. */
  | { readonly type: 'nothing' };

export function isDeployMessage(value: unknown): value is DeployMessage {
  if (typeof value !== 'object' || value === null) return false;
  const { type } = value as { type?: unknown };
  return type === 'line' || type === 'accepted' || type === 'refused' || type === 'nothing';
}

/** What stands in the reload's record as who asked: by it a process that goes on finds the reload again. */
export function reloadLabel(id: string): string {
  return `deploy ${id}`;
}
