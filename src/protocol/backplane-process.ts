import { basename, dirname, join } from 'node:path';
import type { FleetEvent, FleetOrder, FleetQuestion, FleetSettings } from './fleet.js';

/**
 * The backplane is a process of its own beside the workers: it keeps queues, state, locks and broadcasts, and answers on a
 * unix socket. The master starts it when the first app asks for it, or at once where Redis connects several hosts; gives it
 * its settings in one environment variable; and talks with it over the channel of child_process. It ends when that breaks.
 */
export const backplaneVariable = 'ROM_AGENT_BACKPLANE_PROCESS';

/** What an app's process finds the socket by: the path of it. Workers have it, and what they and jobs start inherits it. */
export const backplaneSocketVariable = 'ROM_AGENT_BACKPLANE';

export interface BackplaneSettings {
  /** Of the service, for messages. */
  readonly name: string;
  readonly version: string;
  /** Absolute path of the unix socket. */
  readonly socket: string;
  /** Absolute path of the directory of the journal. */
  readonly directory: string;
  /** null: this host alone, with the embedded engine. */
  readonly fleet: FleetSettings | null;
}

/** Backplane to master. The first three are as those of the admin server. */
export type BackplaneMessage =
  | { readonly type: 'listening' }
  /** It ends, for this reason. */
  | { readonly type: 'failed'; readonly message: string }
  /** For the log. */
  | { readonly type: 'problem'; readonly message: string }
  | { readonly type: 'info'; readonly message: string }
  | { readonly type: 'fleet'; readonly event: FleetEvent }
  /** Answers `ask`. */
  | { readonly type: 'answer'; readonly id: number; readonly answer: BackplaneAnswer };

/** Master to backplane. */
export type BackplaneOrder =
  | { readonly type: 'ask'; readonly id: number; readonly question: Question }
  | { readonly type: 'fleet'; readonly order: FleetOrder };

/** What the control API asks. */
export type Question =
  | { readonly kind: 'queues' }
  | { readonly kind: 'failed'; readonly queue: string; readonly limit: number }
  | { readonly kind: 'retry'; readonly queue: string; readonly id: string }
  | { readonly kind: 'fleet'; readonly question: FleetQuestion };

export type BackplaneAnswer =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly reason: string };

/** A worker's `globalThis[Symbol.for('rom-agent')]`, for the app in it. */
export interface BackplaneHook {
  /** Has the master start the backplane, unless it runs. */
  wantBackplane(): void;
}

const controlName = 'control.sock';
const suffix = '.backplane';

/** Beside the control socket, which each daemon has of its own: control.sock has backplane.sock. */
export function backplaneSocketOf(controlSocket: string): string {
  const name = basename(controlSocket);
  return join(dirname(controlSocket), name === controlName ? 'backplane.sock' : `${name}${suffix}`);
}

/** Of the journal. */
export function backplaneDirectory(stateDir: string): string {
  return join(stateDir, 'backplane');
}

/** The control socket of the daemon whose backplane it is. */
export function controlSocketOf(backplaneSocket: string): string {
  const name = basename(backplaneSocket);
  return join(dirname(backplaneSocket), name.endsWith(suffix) ? name.slice(0, -suffix.length) : controlName);
}

const types: ReadonlySet<unknown> = new Set<BackplaneMessage['type']>([
  'listening',
  'failed',
  'problem',
  'info',
  'fleet',
  'answer',
]);

export function isBackplaneMessage(value: unknown): value is BackplaneMessage {
  return typeof value === 'object' && value !== null && types.has((value as { type?: unknown }).type);
}
