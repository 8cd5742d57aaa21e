/** Where a daemon of this user keeps what it needs while it runs, and what outlives it. Absolute paths. */
export interface Directories {
  readonly runtime: string;
  readonly state: string;
  /** How each was found, in words. */
  readonly runtimeFrom: string;
  readonly stateFrom: string;
}

export interface DirectoriesInput {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
  readonly platform: NodeJS.Platform;
  readonly home: string;
  readonly tmpdir: string;
}

const name = 'rom-agent';

/**
 * systemd names the directories that it made for the service (RuntimeDirectory=, StateDirectory=, systemd.exec(5)); for
 * root they are those of the system (file-hierarchy(7), hier(7) of macOS), for others those of the XDG Base Directory
 * Specification.
 */
export function findDirectories({ env, uid, platform, home, tmpdir }: DirectoriesInput): Directories {
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
    ([`${home}/.local/state/${name}`, 'home of the user'] as const);
  return { runtime, runtimeFrom, state, stateFrom };
}

type Found = readonly [path: string, from: string];

/** systemd separates several by colons. */
function given(env: DirectoriesInput['env'], variable: string): Found | null {
  const [first] = (env[variable] ?? '').split(':');
  return first?.startsWith('/') ? [first, variable] : null;
}

function within(env: DirectoriesInput['env'], variable: string): Found | null {
  const value = env[variable];
  return value?.startsWith('/') ? [`${value}/${name}`, variable] : null;
}
