import { findDirectories } from '../config/directories.js';
import { inspectConfig, type LoadInput } from '../config/load.js';
import { inputOf } from '../doctor/systemd.js';
import {
  isLoaded,
  type Properties,
  parseProperties,
  parseService,
  type ServiceUnit,
  serviceProperties,
} from '../doctor/units.js';
import { exitCodes, RomAgentError } from '../errors.js';
import type { Config } from '../settings/config.js';
import {
  configDirectory,
  isName,
  nameOfPlist,
  nameOfUnit,
  namesOf,
  plainName,
  plistDirectory,
  unitDirectory,
} from './names.js';
import { packageUnitDirectories } from './templates.js';
import { type HostSeam, textOf } from './world.js';

/** A service of this host that runs rom-agent. */
export interface Service {
  readonly name: string;
  /** Of systemd, or the label of launchd. */
  readonly unit: string;
  /** Whether it runs or starts with the machine: those are meant where nobody names one. */
  readonly isInUse: boolean;
}

/** What is read of a host to find its services. */
export type FindSeam = Pick<HostSeam, 'platform' | 'readFile' | 'stat' | 'entries' | 'run'>;

/** Every service, running or not, by name. From files: no program is run, and nobody needs rights for it. */
export function findServices(seam: FindSeam): readonly Service[] {
  const found = seam.platform === 'darwin' ? jobs(seam) : units(seam);
  return [...found].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** What systemd has loaded from an administrator or from packages. */
const unitDirectories = [unitDirectory, '/run/systemd/system', ...packageUnitDirectories];

function units(seam: FindSeam): readonly Service[] {
  // Without systemd its files mean nothing: sd_booted(3).
  if (seam.stat('/run/systemd/system') === null) return [];
  const enabled = enabledUnits(seam);
  const runs = (runtime: string) => seam.stat(`/run/${runtime}`) !== null;
  const files = unitDirectories.flatMap((folder) => seam.entries(folder).map((file) => ({ folder, file })));
  const isInstalled = (unit: string) => files.some(({ file }) => file === unit);
  const plain = isInstalled(`${plainName}.service`)
    ? [
        {
          name: plainName,
          unit: `${plainName}.service`,
          isInUse:
            enabled.has(`${plainName}.service`) || enabled.has(`${plainName}.socket`) || runs(plainName),
        },
      ]
    : [];
  const instances = instanceNames(seam, enabled).map((name) => {
    const { unit, short, socketUnit } = namesOf(name, 'linux');
    return { name, unit, isInUse: enabled.has(unit) || enabled.has(socketUnit) || runs(short) };
  });
  const others = files
    .filter(({ file }) => /^[^@]+\.service$/.test(file) && nameOfUnit(file) === null)
    .filter(({ folder, file }) => startsDaemon(textOf(seam, `${folder}/${file}`) ?? ''))
    .map(({ file }) => {
      const name = file.replace(/\.service$/, '');
      return { name, unit: file, isInUse: enabled.has(file) || runs(name) };
    });
  const all = [...plain, ...instances, ...others];
  return all.filter(({ unit }, index) => all.findIndex((other) => other.unit === unit) === index);
}

/** An instance is there where it is enabled, runs, or has a configuration for a template that is installed. */
function instanceNames(seam: FindSeam, enabled: ReadonlySet<string>): readonly string[] {
  const isTemplate = unitDirectories.some((folder) => seam.stat(`${folder}/${plainName}@.service`) !== null);
  const configured = isTemplate
    ? seam.entries(configDirectory).flatMap((file) => /^(.+)\.toml$/.exec(file)?.[1] ?? [])
    : [];
  const running = seam.entries('/run').flatMap((folder) => /^rom-agent@(.+)$/.exec(folder)?.[1] ?? []);
  const started = [...enabled].flatMap((unit) => nameOfUnit(unit.replace(/\.socket$/, '.service')) ?? []);
  const all = new Set([...configured, ...running, ...started].filter(isName));
  all.delete(plainName);
  return [...all];
}

/** What `systemctl enable` has linked: systemd.unit(5), Wants=. */
function enabledUnits(seam: FindSeam): ReadonlySet<string> {
  const folders = seam.entries(unitDirectory).filter((name) => /\.(wants|requires)$/.test(name));
  return new Set(folders.flatMap((folder) => seam.entries(`${unitDirectory}/${folder}`)));
}

/** A second service under another name, as administrators write them. */
function startsDaemon(text: string): boolean {
  return /^ExecStart=\S+ (?:\S*rom-agent\S*\/dist\/cli\/main\.js|\S*\/rom-agent) (?:.* )?serve\b|^ExecStart=\S*\/rom-agent serve\b/m.test(
    text,
  );
}

function jobs(seam: FindSeam): readonly Service[] {
  return seam.entries(plistDirectory).flatMap((file): Service[] => {
    const name = nameOfPlist(file);
    return name === null ? [] : [{ name, unit: namesOf(name, 'darwin').unit, isInUse: true }];
  });
}

/**
 * The service that is meant by a name, or by the name of a unit.
 *
 * @throws RomAgentError exit 64 where there is none
 */
export function serviceNamed(name: string, services: readonly Service[]): Service {
  const found =
    services.find((service) => service.name === name) ?? services.find(({ unit }) => unit === name);
  if (found !== undefined) return found;
  throw new RomAgentError(
    `--name: there is no service ${JSON.stringify(name)} on this host; ${listing(services)}`,
    {
      exitCode: exitCodes.usage,
    },
  );
}

/**
 * The service that is meant where nobody names one; null where there is none.
 *
 * @throws RomAgentError exit 64 where there are several
 */
export function onlyService(services: readonly Service[]): Service | null {
  const used = services.filter(({ isInUse }) => isInUse);
  if (used.length <= 1) return used[0] ?? null;
  throw new RomAgentError(
    `several services run rom-agent on this host: name one with --name, of ${namesIn(used)} (rom-agent list shows them)`,
    { exitCode: exitCodes.usage },
  );
}

function listing(services: readonly Service[]): string {
  return services.length === 0 ? 'there is none' : `there is ${namesIn(services)}`;
}

function namesIn(services: readonly Service[]): string {
  return services.map(({ name }) => name).join(', ');
}

/** What a service is set to, as far as this user may read it. */
export interface ServiceSettings {
  readonly config: Config;
  /** As loadConfig takes it. */
  readonly input: LoadInput;
  readonly unreadable: readonly string[];
}

/** With the default in the place of what is wrong or may not be read. */
export async function settingsOf(
  service: Service,
  { loaded, own }: { readonly loaded: Loaded | null; readonly own: LoadInput },
): Promise<ServiceSettings> {
  const { input, unreadable } =
    loaded === null ? { input: inputOfJob(service, own), unreadable: [] } : inputOf(loaded.service, own);
  const inspected = await inspectConfig(input);
  return { config: inspected.loaded.config, input, unreadable };
}

function inputOfJob({ name }: Service, own: LoadInput): LoadInput {
  const { config, state, runtime } = namesOf(name, 'darwin');
  const env = { ROM_AGENT_CONFIG: config, STATE_DIRECTORY: state, RUNTIME_DIRECTORY: runtime };
  const directories = findDirectories({ env, uid: 1, platform: own.platform, home: null, tmpdir: '/tmp' });
  return { ...own, env, cwd: state, directories };
}

/** A unit as systemd has loaded it. */
export interface Loaded {
  readonly service: ServiceUnit;
  readonly properties: Properties;
}

/** systemd.exec(5), systemctl(1): what `list` shows beside what the doctor asks for. */
const further = ['MemoryCurrent', 'ActiveEnterTimestampMonotonic'];

/** By unit; those that systemd does not know are left out. */
export async function loadUnits(
  services: readonly Service[],
  seam: Pick<FindSeam, 'run' | 'platform'>,
): Promise<ReadonlyMap<string, Loaded>> {
  if (services.length === 0 || seam.platform !== 'linux') return new Map();
  const units = services.map(({ unit }) => unit);
  const properties = ['Id', ...serviceProperties, ...further].join(',');
  const text = (await seam.run('systemctl', ['show', ...units, '-p', properties])) ?? '';
  // A block for each, with an empty line between two.
  const blocks = text.split('\n\n').map(parseProperties);
  return new Map(
    blocks.filter(isLoaded).map((block) => {
      const unit = block.get('Id')?.[0] ?? '';
      return [unit, { service: parseService(unit, block), properties: block }];
    }),
  );
}
