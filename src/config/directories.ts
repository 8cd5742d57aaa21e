import { configFile } from '../settings/settings.js';

/** Where a daemon of this user keeps what it needs while it runs, and what outlives it. Absolute paths. */
export interface Directories {
  readonly runtime: string;
  readonly state: string;
  /** How each was found, in words. */
  readonly runtimeFrom: string;
  readonly stateFrom: string;
  /** The configuration file, where none is named. */
  readonly config: string;
}

export interface DirectoriesInput {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
  readonly platform: NodeJS.Platform;
  /** null: nobody knows. */
  readonly home: string | null;
  readonly tmpdir: string;
  /** The root of the sources that this program was built in; null where it is installed. */
  readonly checkout?: string | null;
}

const name = 'rom-agent';
/**
 * The runtime directory of the shipped LaunchDaemon, set by its plist: macOS empties /var/run at each boot, and the
 * service's account cannot create anything there.
 */
export const launchdRuntime = `/var/db/${name}/run`;
/** How `runtimeFrom` and `stateFrom` begin for a checkout. */
export const ofCheckout = 'the checkout';

/**
 * systemd names the directories that it created for the service (RuntimeDirectory=, StateDirectory=: systemd.exec(5)).
 * Without it, root has those of the system (file-hierarchy(7), hier(7) of macOS), and other users have those of the XDG
 * Base Directory Specification.
 *
 * A daemon that runs from a checkout, and not as a service, has directories of its own: it must not serve the app of an
 * installed service, answer at its control socket or write into its history.
 */
export function findDirectories(input: DirectoriesInput): Directories {
  const { env, checkout = null } = input;
  const isService = given(env, 'RUNTIME_DIRECTORY') !== null || given(env, 'STATE_DIRECTORY') !== null;
  return checkout === null || isService ? usual(input) : forCheckout(input, checkout);
}

function forCheckout({ env, uid, home, tmpdir }: DirectoriesInput, checkout: string): Directories {
  const own = `${name}-${tagOf(checkout)}`;
  const from = `${ofCheckout} ${checkout}`;
  const [runtime] =
    within(env, 'XDG_RUNTIME_DIR', own) ?? ([`${uid === 0 ? '/run' : tmpdir}/${own}-${uid}`] as const);
  const [state] =
    within(env, 'XDG_STATE_HOME', own) ??
    ([home === null ? `${tmpdir}/${own}-${uid}/state` : `${home}/.local/state/${own}`] as const);
  return { runtime, runtimeFrom: from, state, stateFrom: from, config: `${checkout}/rom-agent.toml` };
}

/** Tells checkouts apart, in eight digits: FNV-1a. node:crypto would cost a millisecond. */
function tagOf(path: string): string {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(path)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, '0');
}

function usual({ env, uid, platform, home, tmpdir }: DirectoriesInput): Directories {
  const root = platform === 'darwin' ? ['/var/run', '/var/db'] : ['/run', '/var/lib'];
  const [runtime, runtimeFrom] =
    given(env, 'RUNTIME_DIRECTORY') ??
    (uid === 0 ? [`${root[0]}/${name}`, 'user root'] : null) ??
    within(env, 'XDG_RUNTIME_DIR') ??
    ([`${tmpdir}/${name}-${uid}`, 'neither root nor XDG_RUNTIME_DIR'] as const);
  const [state, stateFrom] =
    given(env, 'STATE_DIRECTORY') ??
    (uid === 0 ? [`${root[1]}/${name}`, 'user root'] : null) ??
    within(env, 'XDG_STATE_HOME') ??
    (home === null
      ? ([`${tmpdir}/${name}-${uid}/state`, 'neither STATE_DIRECTORY nor a home'] as const)
      : ([`${home}/.local/state/${name}`, 'home of the user'] as const));
  return { runtime, runtimeFrom, state, stateFrom, config: configFile.path };
}

type Found = readonly [path: string, from: string];

/** systemd separates several by colons. */
function given(env: DirectoriesInput['env'], variable: string): Found | null {
  const [first] = (env[variable] ?? '').split(':');
  return first?.startsWith('/') ? [first, variable] : null;
}

function within(env: DirectoriesInput['env'], variable: string, directory = name): Found | null {
  const value = env[variable];
  return value?.startsWith('/') ? [`${value}/${directory}`, variable] : null;
}
