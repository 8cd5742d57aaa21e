import { planLaunchd } from './launchd.js';
import { checkName, type ServicePlatform } from './names.js';
import { planSystemd } from './systemd.js';

/** A service that somebody wants to have. */
export interface ServiceRequest {
  /** See `checkName`. */
  readonly name: string;
  /** By the keys of the settings table, such as `log.level`, with values as TOML has them; paths absolute. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Variables that the service has of its own. They may be secrets. */
  readonly environment: Readonly<Record<string, string>>;
  /** A file with variables that stays where it is. Absolute. */
  readonly envFile: string | null;
  /** null: an account that the service manager makes for the service, under launchd `_www`. */
  readonly user: string | null;
  readonly group: string | null;
  /** Whether the service manager holds the port. */
  readonly socket: boolean;
}

/** What a plan depends on. */
export interface SetupFacts {
  readonly platform: ServicePlatform;
  /** The node that the service will run, and the folder with rom-agent's `dist`. Absolute. */
  readonly node: string;
  readonly libdir: string;
  /** Units that a package or `make install` has installed: their paths; null: `install` writes them. */
  readonly templates: { readonly service: string | null; readonly socket: string | null };
  /** The files of this package, with their placeholders. */
  readonly shipped: ShippedTexts;
  /** The folder that has to be visible to the service though the unit hides homes; null: it is visible anyway. */
  readonly hiddenFolder: string | null;
  /** Folders that the app writes to and that the service's account may write. Absolute. */
  readonly writes: readonly string[];
  /** The variables of `envFile`. */
  readonly envFileVariables: Readonly<Record<string, string>>;
}

export interface ShippedTexts {
  readonly service: string;
  readonly socket: string;
  readonly plist: string;
  readonly newsyslog: string;
}

export interface PlannedFile {
  readonly path: string;
  readonly content: string;
  readonly mode: number;
}

export interface ServicePlan {
  readonly files: readonly PlannedFile[];
  /** What starts the service once the files are there, each an argument vector. */
  readonly commands: readonly (readonly string[])[];
  /** What an operator should know, a sentence each. */
  readonly notes: readonly string[];
}

/**
 * The files and commands that make a service of a request.
 *
 * @throws RomAgentError exit 64 for a name, a path or a variable that cannot be written
 * @throws {ConfigError} for settings that are wrong
 */
export function planService(request: ServiceRequest, facts: SetupFacts): ServicePlan {
  checkName(request.name);
  return facts.platform === 'darwin' ? planLaunchd(request, facts) : planSystemd(request, facts);
}
