import { isAbsolute, join } from 'node:path';
import { parseEnv } from 'node:util';
import { findDirectories } from '../config/directories.js';
import { inspectConfig, type LoadInput } from '../config/load.js';
import { permits } from '../doctor/checks/files.js';
import type { Account } from '../doctor/facts.js';
import { ConfigError, exitCodes, RomAgentError } from '../errors.js';
import { type Key, keys, settingOf, variablesOf } from '../settings/settings.js';
import { type AppFacts, inspectApp } from './app.js';
import { type Change, changesOf, isChange } from './changes.js';
import { checkName, namesOf, plainName, type ServiceNames } from './names.js';
import { planService, type ServicePlan, type ServiceRequest, type SetupFacts } from './plan.js';
import { portProblem, sharedAddresses } from './port.js';
import { accountFor, hiddenFolderOf, obstacleTo } from './reach.js';
import { type RunningState, type Steps, stateOf, stepsFor } from './steps.js';
import { hostOf, portOf, settingIn } from './systemd.js';
import { findProgram, type Program } from './templates.js';
import { type HostSeam, textOf } from './world.js';

/** A service that can be installed: everything was looked at, and nothing written. */
export interface Prepared {
  readonly request: ServiceRequest;
  readonly names: ServiceNames;
  readonly app: AppFacts | null;
  readonly program: Program;
  readonly plan: ServicePlan;
  readonly changes: readonly Change[];
  readonly state: RunningState;
  readonly steps: Steps;
  /** What an operator should know before answering, a sentence each. */
  readonly warnings: readonly string[];
  /** Where it will listen; null: nowhere, or on any port. */
  readonly address: Address | null;
}

export type Address =
  | { readonly kind: 'tcp'; readonly port: number; readonly host: string | null }
  | { readonly kind: 'path'; readonly path: string };

export interface PrepareInput {
  readonly seam: HostSeam;
  /** What loadConfig takes, of the process that asks: for its machine. */
  readonly input: LoadInput;
}

/**
 * @throws RomAgentError for what would not run: a name, an account, a file of variables, an app or a node out of the
 *   service's reach, a port that is taken
 * @throws {ConfigError} for settings that are wrong
 */
export async function prepareService(
  request: ServiceRequest,
  { seam, input }: PrepareInput,
): Promise<Prepared> {
  if (checkName(request.name) === plainName)
    throw new RomAgentError(
      `the name ${plainName} is that of the plain unit, which reads ${namesOf(plainName, 'linux').config}: expected another one`,
      { exitCode: exitCodes.usage },
    );
  const platform = seam.platform === 'darwin' ? 'darwin' : 'linux';
  const names = namesOf(request.name, platform);
  const account = await accountFor(request, seam);
  const envFileVariables = variablesIn(request.envFile, seam);
  checkConflicts(request, envFileVariables);
  const program = await findProgram(seam);
  const app = typeof request.settings.app === 'string' ? inspectApp(request.settings.app, seam) : null;
  const hiddenFolder = app === null ? null : hiddenFolderOf(app, seam);
  if (app !== null) checkReadable(app, { account, hiddenFolder, seam });
  const written = (app?.writes ?? []).map((each) => ({ ...each, may: mayWrite(each.folder, account, seam) }));
  const facts: SetupFacts = {
    ...{ platform, node: program.node, libdir: program.libdir, templates: program.templates },
    ...{ shipped: program.shipped, hiddenFolder, envFileVariables },
    writes: written.filter(({ may }) => may).map(({ folder }) => folder),
  };
  const plan = planService(request, facts);
  await checkConfig(plan, { request, facts, names, input });
  const address = addressOf(request, facts);
  const state = await stateOf(names, seam);
  const problem = await portProblem(address, { names, seam, state });
  if (problem !== null) throw problem;
  const changes = changesOf(plan, { name: request.name, seam });
  return {
    ...{ request, names, app, program, plan, changes, state, address },
    steps: stepsFor({ names, plan, changes, state, socket: request.socket, platform }),
    warnings: [
      ...engineWarning(app, program),
      ...written.filter(({ may }) => !may).map((each) => readOnlyWarning(each, { request, names })),
      ...plan.notes,
      ...(await sharedAddresses(address, { names, seam, input })),
    ],
  };
}

/** Whether anything is to be done. */
export function isSettled({ changes, steps }: Prepared): boolean {
  return !changes.some(isChange) && steps.commands.length === 0;
}

/**
 * Whether a version of Node fits what "engines" of a package.json asks for, as npm reads it (semver); null where that is
 * written in a way that is not known here, and so says nothing.
 */
export function fitsEngines(range: string, version: string): boolean | null {
  const node = numbersOf(version);
  const alternatives = range.split('||').map((each) => fitsAll(each.trim(), node));
  if (alternatives.includes(true)) return true;
  return alternatives.includes(null) ? null : false;
}

function variablesIn(path: string | null, seam: HostSeam): Record<string, string> {
  if (path === null) return {};
  const text = textOf(seam, path);
  if (text !== null) return { ...parseEnv(text) } as Record<string, string>;
  const isThere = seam.stat(path) !== null;
  throw new RomAgentError(
    `--env-file: ${path} ${isThere ? 'cannot be read by this user' : 'does not exist'}: expected a file with variables`,
    { exitCode: isThere ? exitCodes.noPermission : exitCodes.usage },
  );
}

/** A variable wins over the configuration file, where nobody would look for it. */
function checkConflicts(
  { settings, environment, envFile }: ServiceRequest,
  envFileVariables: Readonly<Record<string, string>>,
): void {
  const sources = [
    { variables: envFileVariables, where: envFile ?? '' },
    { variables: environment, where: "the service's environment" },
  ];
  for (const key of keys.filter((each) => settings[each] !== undefined)) {
    for (const { variables, where } of sources) {
      const name = variablesOf(key).find((each) => variables[each] !== undefined && variables[each] !== '');
      const value = name === undefined ? undefined : variables[name];
      if (name === undefined || value === undefined || isSame(key, { text: value, value: settings[key] }))
        continue;
      throw new RomAgentError(
        `${name}=${value} in ${where} wins over ${key} = ${JSON.stringify(settings[key])}: expected the same in both, or one of them only`,
        { exitCode: exitCodes.usage },
      );
    }
  }
}

function isSame(key: Key, { text, value }: { text: string; value: unknown }): boolean {
  const { kind } = settingOf(key);
  return JSON.stringify(kind.parse(text, 'text')) === JSON.stringify(kind.parse(value, 'toml'));
}

interface Looking {
  readonly account: Account;
  readonly hiddenFolder: string | null;
  readonly seam: HostSeam;
}

function checkReadable({ file, folder }: AppFacts, { account, hiddenFolder, seam }: Looking): void {
  // systemd makes the folders above what it shows, for everybody to enter.
  const from = hiddenFolder === null ? null : seam.realpath(hiddenFolder);
  const manifest = join(folder, 'package.json');
  const paths = [file, ...(seam.stat(manifest) === null ? [] : [manifest])];
  for (const path of paths) {
    const blocked = obstacleTo({ path, account, need: 'read', from }, seam);
    if (blocked === null) continue;
    const who =
      account.kind === 'dynamic' ? 'the account that systemd makes for the service' : nameOf(account);
    const isFolder = seam.stat(blocked)?.isDirectory === true;
    throw new RomAgentError(
      `${path} cannot be read by ${who}: no permission for ${blocked}. Run sudo chmod o+${isFolder ? 'x' : 'r'} ${blocked}, or name an account that may, with --user or --group`,
      { exitCode: exitCodes.noPermission },
    );
  }
}

function nameOf(account: Account): string {
  return account.kind === 'dynamic' ? 'the service' : account.name;
}

function mayWrite(folder: string, account: Account, seam: HostSeam): boolean {
  const stats = seam.stat(seam.realpath(folder));
  // A random account may write where everybody may, and would leave files that belong to nobody.
  return stats !== null && account.kind === 'known' && account.uid >= 0 && permits(stats, 0o3, account);
}

function readOnlyWarning(
  { folder, because }: { readonly folder: string; readonly because: string },
  { request, names }: { readonly request: ServiceRequest; readonly names: ServiceNames },
): string {
  const remedy =
    request.user === null
      ? `run it as the account that owns it, --user NAME, or have the app write to ${names.state}`
      : `sudo chown -R ${request.user} ${folder}, then install again`;
  return `The app seems to write to ${folder} (${because}), which the service cannot: ${remedy}.`;
}

function engineWarning(app: AppFacts | null, { version, node }: Program): readonly string[] {
  const engines = app?.engines ?? null;
  if (engines === null || version === null || fitsEngines(engines, version) !== false) return [];
  return [
    `The app asks for node ${engines} ("engines" in its package.json); the service runs ${node}, which is ${version}.`,
  ];
}

/** As the service will read it. */
async function checkConfig(
  plan: ServicePlan,
  {
    request,
    facts,
    names,
    input,
  }: {
    readonly request: ServiceRequest;
    readonly facts: SetupFacts;
    readonly names: ServiceNames;
    readonly input: LoadInput;
  },
): Promise<void> {
  const toml = plan.files.find(({ path }) => path === names.config)?.content ?? '';
  const env = {
    ...request.environment,
    ...facts.envFileVariables,
    ROM_AGENT_CONFIG: names.config,
    STATE_DIRECTORY: names.state,
    RUNTIME_DIRECTORY: names.runtime,
  };
  const { problems } = await inspectConfig({
    ...input,
    env,
    flags: {},
    cwd: names.state,
    directories: findDirectories({ env, uid: 1, platform: input.platform, home: null, tmpdir: '/tmp' }),
    readFile: (path) => (path === names.config ? toml : input.readFile(path)),
  });
  if (problems.length > 0) throw new ConfigError(problems);
}

function addressOf(request: ServiceRequest, facts: SetupFacts): Address | null {
  // A process without a listener.
  if (settingIn(request, facts, 'kind') === 'process') return null;
  const [port, host] = [portOf(request, facts), hostOf(request, facts)];
  if (host !== null && isAbsolute(host)) return { kind: 'path', path: host };
  return port === 0 ? null : { kind: 'tcp', port, host };
}

type Numbers = readonly [major: number, minor: number, patch: number];

function fitsAll(range: string, node: Numbers): boolean | null {
  const [, from, to] = /^(\S+)\s+-\s+(\S+)$/.exec(range) ?? [];
  const spaced = range.replaceAll(/([<>=~^]+)\s+/g, '$1');
  const words = from === undefined ? spaced.split(/\s+/) : [`>=${from}`, `<=${to}`];
  const fits = words.map((word) => fitsOne(word, node));
  if (fits.includes(null)) return null;
  return !fits.includes(false);
}

function fitsOne(word: string, node: Numbers): boolean | null {
  if (word === '' || /^[*xX]$/.test(word) || word === 'latest') return true;
  const [, operator = '', version] = /^(>=|<=|>|<|=|\^|~|)v?(\d+(?:\.(?:\d+|[xX*])){0,2})$/.exec(word) ?? [];
  if (version === undefined) return null;
  const given = version.split('.').filter((part) => /^\d+$/.test(part)).length;
  const low = numbersOf(version);
  switch (operator) {
    case '>=':
      return compare(node, low) >= 0;
    case '<':
      return compare(node, low) < 0;
    case '>':
      // More than 20 is 21, as 20 stands for all of its versions.
      return given === 3 ? compare(node, low) > 0 : compare(node, next(low, given)) >= 0;
    case '<=':
      return given === 3 ? compare(node, low) <= 0 : compare(node, next(low, given)) < 0;
    case '^':
      return compare(node, low) >= 0 && compare(node, next(low, low[0] > 0 ? 1 : Math.min(given, 2))) < 0;
    case '~':
      return compare(node, low) >= 0 && compare(node, next(low, Math.min(given, 2))) < 0;
    default:
      return given === 3
        ? compare(node, low) === 0
        : compare(node, low) >= 0 && compare(node, next(low, given)) < 0;
  }
}

/** The first version that does not begin with so many of these numbers. */
function next([major, minor, patch]: Numbers, given: number): Numbers {
  if (given <= 1) return [major + 1, 0, 0];
  return given === 2 ? [major, minor + 1, 0] : [major, minor, patch + 1];
}

function compare(a: Numbers, b: Numbers): number {
  const [difference = 0] = a.map((value, index) => value - (b[index] ?? 0)).filter((each) => each !== 0);
  return difference;
}

function numbersOf(version: string): Numbers {
  const [major = 0, minor = 0, patch = 0] = version
    .replace(/^v/, '')
    .split(/[.-]/)
    .map((part) => Number.parseInt(part, 10) || 0);
  return [major, minor, patch];
}
