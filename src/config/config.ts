import type { Dispatch, LogSettings, Mode } from '../protocol/settings.js';

export type { Dispatch, LogFormat, LogLevel, LogSettings as LogConfig, Mode } from '../protocol/settings.js';

/** The effective configuration. Durations are in milliseconds, sizes in mebibytes. Frozen. */
export interface Config {
  /** Absolute path of the app's module, or null for the built-in app. */
  readonly app: string | null;
  /** The app's arguments. */
  readonly args: readonly string[];
  /** Flags of Node for the workers. */
  readonly nodeArgs: readonly string[];
  /** Absolute path of the directory where workers run; null: by the rule of working-directory.ts. */
  readonly workingDirectory: string | null;
  readonly mode: Mode;
  /** Number of workers, at least 1. */
  readonly workers: number;
  /** TCP port, 0 for any free one. Not used where host is a path. */
  readonly port: number;
  /** Name or address to listen on, an absolute path for a unix socket, null for all addresses. */
  readonly host: string | null;
  /** Permission bits of a unix socket, null for what the umask gives. */
  readonly socketMode: number | null;
  /** NODE_ENV of the workers. */
  readonly nodeEnv: string;
  readonly dispatch: Dispatch;
  /** Whether kept connections are evened out among the workers; with dispatch shared. */
  readonly balance: 'auto' | 'on' | 'off';
  /** By what a client is brought back to its worker. */
  readonly sticky: 'off' | 'address' | 'cookie';
  /** Name of the cookie with which sticky `cookie` does that. */
  readonly stickyCookie: string;
  /** Heap limit of one worker (--max-old-space-size), MiB. */
  readonly maxOldSpaceSize: number;
  /** Semi-space of one worker (--max-semi-space-size), MiB. */
  readonly maxSemiSpaceSize: number;
  /** A worker that does not listen within this time is killed. ms */
  readonly bootTimeout: number;
  /** A worker that still drains after this time is cut. ms */
  readonly drainTimeout: number;
  /** How long an idle keep-alive connection is kept for one more request while draining. ms */
  readonly linger: number;
  /** A worker that is silent for this long is taken for hung and replaced. ms */
  readonly hangTimeout: number;
  /** How long workers may finish requests after the master was killed. ms */
  readonly orphanTimeout: number;
  /** What is done with WebSockets at a drain: sent a Close frame (1001, going away), or left to the app. */
  readonly websockets: 'close' | 'leave';
  /** Whether paths of requests and command lines of children are told by their kind alone. */
  readonly redact: 'on' | 'off';
  /** Booted workers that wait to take over. */
  readonly spares: number;
  readonly health: HealthConfig;
  readonly memory: MemoryConfig;
  readonly poison: PoisonConfig;
  readonly restart: RestartConfig;
  readonly reload: ReloadConfig;
  /** Absolute path of the control socket. */
  readonly controlSocket: string;
  /** Absolute path of the directory for what outlives the daemon, such as the history of reloads. */
  readonly stateDir: string;
  readonly log: LogSettings;
  /** Path prefix under which a hosted app also answers the operational routes; null: it does not. */
  readonly routesPrefix: string | null;
  /** Variables of the .env file that the environment did not set, handed on to the workers. */
  readonly dotenv: Readonly<Record<string, string>>;
}

/** When workers, and the master itself, are not well. */
export interface HealthConfig {
  /** A worker whose event loop is later than this is slow. ms */
  readonly slowDelay: number;
  /** One that is slow for this long, while most others are not, is replaced. ms; 0: never */
  readonly slowLimit: number;
  /** What a worker without traffic is asked to show that it answers; null: something that never reaches the app. */
  readonly probe: string | null;
  /** A master whose event loop stands still for this long is aborted, where no systemd watches it. ms; 0: never */
  readonly masterTimeout: number;
  /** Whether a worker has a thread that says where it hangs. */
  readonly capture: 'on' | 'off';
}

/** When a worker has too much memory. */
export interface MemoryConfig {
  /** Its resident set, MiB; null: any. */
  readonly maxRss: number | null;
  /** Its heap, in percent of the heap limit; 0: any. */
  readonly maxHeap: number;
  /** Percent of the cgroup's memory limit from which on the fattest worker is drained; 0: never. */
  readonly pressure: number;
}

/** When a kind of request is suspected of killing workers. */
export interface PoisonConfig {
  /** In flight at so many deaths within `window`; 0: never. */
  readonly deaths: number;
  /** ms */
  readonly window: number;
  /** For how long it is then answered with 503, ms; 0: it is not. */
  readonly block: number;
}

export interface RestartConfig {
  /** More unexpected deaths than this within `window` end the master. */
  readonly intensity: number;
  /** ms */
  readonly window: number;
  /** First and longest delay, ms, after a crash at run time (the very first restart is at once). */
  readonly crashDelay: number;
  readonly crashDelayMax: number;
  /** First and longest delay, ms, after a death before listening. */
  readonly bootDelay: number;
  readonly bootDelayMax: number;
}

/** When the first worker of a new generation is good enough for the others to follow. */
export interface ReloadConfig {
  /** How long it is watched, ms. */
  readonly soak: number;
  /** Path that it has to answer with a status below 500, within `probeTimeout` ms; null: none. */
  readonly probe: string | null;
  readonly probeTimeout: number;
  /** By how much its share of failed answers may exceed that of the others, in percent of all its answers. */
  readonly maxErrors: number;
  /** How many times as long as theirs its answers may take. */
  readonly maxLatency: number;
}
