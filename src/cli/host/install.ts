import { isAbsolute, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import type { LoadInput } from '../../config/load.js';
import { systemInput } from '../../config/system.js';
import { ConfigError, type ExitCode, exitCodes, type Problem, RomAgentError } from '../../errors.js';
import { joinWords } from '../../settings/kinds.js';
import { flagNameOf, flagOf, keys, settingOf, variablesOf } from '../../settings/settings.js';
import { type AppFacts, inspectApp } from '../../setup/app.js';
import { applyService } from '../../setup/apply.js';
import { type Change, diffOf, isChange } from '../../setup/changes.js';
import { checkName, nameExpected } from '../../setup/names.js';
import type { PlannedFile, ServiceRequest } from '../../setup/plan.js';
import { knock } from '../../setup/port.js';
import { isSettled, type Prepared, prepareService } from '../../setup/prepare.js';
import { applyRemoval, planRemoval } from '../../setup/remove.js';
import { systemSeam } from '../../setup/system.js';
import type { SetupSeam } from '../../setup/world.js';
import { openTerminal, plain, type Terminal } from '../output.js';

export interface InstallFlags extends Readonly<Record<string, unknown>> {
  readonly name?: string;
  readonly user?: string;
  readonly group?: string;
  readonly envFile?: string;
  readonly socket?: boolean;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

/** What asks before something is written. */
export interface Asking {
  readonly terminal: Pick<Terminal, 'print' | 'paint' | 'warn'>;
  /** null: nobody is there to answer. */
  readonly ask: ((question: string) => Promise<string>) | null;
}

/** `rom-agent install` with the flags that commander parsed, on this host. */
export async function installCommand(
  app: string | undefined,
  flags: InstallFlags,
  args: readonly string[] | undefined,
): Promise<ExitCode> {
  const input = systemInput({});
  const seam = systemSeam(input.cwd);
  const request = requestFrom({ app: app ?? '.', flags, args, seam });
  return installService(request, { ...flags, input, seam, ...asking() });
}

export interface Installing extends Asking {
  readonly seam: SetupSeam;
  readonly input: LoadInput;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

/** Shows what a service takes, asks, writes, starts, and says how to go on. */
export async function installService(request: ServiceRequest, installing: Installing): Promise<ExitCode> {
  const { seam, input, dryRun = false, terminal } = installing;
  if (!dryRun) checkHost(seam, `install ... --name ${request.name}`);
  const prepared = await prepareService(request, { seam, input });
  terminal.print(`${aboutText(prepared)}\n`);
  if (dryRun) {
    terminal.print(prepared.plan.files.map((file) => `${fileText(file)}\n`).join(''));
    terminal.print(commandsText(prepared));
    return exitCodes.ok;
  }
  if (isSettled(prepared)) {
    terminal.print(`Nothing to do: ${request.name} is installed like this already, and it runs.\n`);
    return exitCodes.ok;
  }
  terminal.print(`${prepared.changes.filter(isChange).map(changeText).join('\n')}\n`);
  if (!(await agreed(questionFor(prepared), installing))) return exitCodes.tryAgain;
  const { kept } = await applyService(prepared, seam);
  for (const path of kept) terminal.print(`kept: what was there before is in ${path}\n`);
  const answer = prepared.address === null ? null : await knock(prepared.address);
  terminal.print(`${plain(nextLines(prepared, answer)).join('\n')}\n`);
  return exitCodes.ok;
}

interface RequestInput {
  readonly app: string;
  readonly flags: InstallFlags;
  readonly args: readonly string[] | undefined;
  readonly seam: SetupSeam;
}

/**
 * @throws RomAgentError exit 64 for a flag or a name that is wrong, 66 where there is no such app
 */
export function requestFrom({ app, flags, args, seam }: RequestInput): ServiceRequest {
  const facts = inspectApp(app, seam);
  const given = settingsFrom(flags, seam.cwd);
  const { script } = facts;
  const appArguments = args ?? script?.args ?? [];
  return {
    name: nameFrom(flags, facts),
    settings: {
      app: facts.app,
      ...(appArguments.length === 0 ? {} : { args: appArguments }),
      ...(script === null || script.nodeArgs.length === 0 ? {} : { node_args: script.nodeArgs }),
      ...given,
    },
    environment: withoutSettings(script?.variables ?? {}, given),
    envFile: flags.envFile === undefined ? null : resolve(seam.cwd, flags.envFile),
    user: flags.user ?? null,
    group: flags.group ?? null,
    socket: flags.socket === true,
  };
}

function nameFrom({ name }: InstallFlags, { proposedName }: AppFacts): string {
  const chosen = name ?? proposedName;
  if (chosen !== null) return checkName(chosen);
  throw new RomAgentError(`the service needs a name: --name NAME, expected ${nameExpected}`, {
    exitCode: exitCodes.usage,
  });
}

/** Flags of settings, as TOML has them. */
function settingsFrom(flags: InstallFlags, cwd: string): Record<string, unknown> {
  const problems: Problem[] = [];
  const entries = keys.flatMap((key): [string, unknown][] => {
    const raw = flags[flagNameOf(key)];
    if (key === 'app' || typeof raw !== 'string') return [];
    const { kind } = settingOf(key);
    const value = kind.parse(raw, 'text');
    if (value === undefined) {
      const expected = kind.expectedFor?.(raw) ?? kind.expected;
      problems.push({ field: key, value: raw, source: flagOf(key) ?? key, expected });
      return [];
    }
    if (kind.isPath === true && typeof value === 'string')
      return [[key, isAbsolute(value) ? value : resolve(cwd, value)]];
    return [[key, inToml(kind.literal(value))]];
  });
  if (problems.length > 0) throw new ConfigError(problems);
  return Object.fromEntries(entries);
}

/** The literals of the table are TOML and, as far as they go, JSON. */
function inToml(literal: string): unknown {
  return JSON.parse(literal);
}

/** A flag wins over the variable of a start script, such as PORT=3000. */
function withoutSettings(
  variables: Readonly<Record<string, string>>,
  given: Readonly<Record<string, unknown>>,
): Readonly<Record<string, string>> {
  const names = new Set(keys.filter((key) => given[key] !== undefined).flatMap(variablesOf));
  return Object.fromEntries(Object.entries(variables).filter(([name]) => !names.has(name)));
}

/** @throws RomAgentError exit 69 without a service manager, 77 without rights */
export function checkHost(seam: Pick<SetupSeam, 'platform' | 'stat' | 'uid'>, command: string): void {
  if (seam.platform === 'linux' && seam.stat('/run/systemd/system') === null)
    throw new RomAgentError(
      'no systemd runs here, as in most containers: start the daemon itself, rom-agent serve APP, as the command of the container or under what starts services here (--dry-run shows the files)',
      { exitCode: exitCodes.addressInUse },
    );
  if (seam.uid !== 0)
    throw new RomAgentError(
      `services of the host are root's: run sudo rom-agent ${command}, or add --dry-run to see what it would do`,
      { exitCode: exitCodes.noPermission },
    );
}

export async function agreed(
  question: string,
  { yes = false, ask, terminal }: Asking & { readonly yes?: boolean },
): Promise<boolean> {
  if (yes) return true;
  if (ask === null)
    throw new RomAgentError('nobody can be asked here, without a terminal: add --yes, or --dry-run', {
      exitCode: exitCodes.usage,
    });
  const answer = await ask(`${question} [y/N] `);
  if (/^y(es)?$/i.test(answer.trim())) return true;
  terminal.print('Nothing was changed.\n');
  return false;
}

export function asking(): Asking {
  const terminal = openTerminal();
  if (process.stdin.isTTY !== true) return { terminal, ask: null };
  return {
    terminal,
    ask: (question) => {
      const lines = createInterface({ input: process.stdin, output: process.stdout });
      return new Promise((resolve) => {
        // Ctrl-C and Ctrl-D are no answer, and nobody else would end this.
        lines.once('close', () => resolve(''));
        lines.question(question).then(
          (answer) => {
            resolve(answer);
            lines.close();
          },
          () => resolve(''),
        );
      });
    },
  };
}

export function aboutText({ request, app, program, names, address, warnings }: Prepared): string {
  const what = app === null ? 'the built-in app' : app.app;
  const framework = app?.framework == null ? '' : `, ${app.framework}`;
  const script = app?.script == null ? '' : ` (start script: ${app.script.text})`;
  const where =
    address === null
      ? request.settings.kind === 'process'
        ? 'nowhere: a background process'
        : 'any port'
      : address.kind === 'path'
        ? address.path
        : `port ${address.port}${address.host === null ? '' : ` of ${address.host}`}`;
  const lines = [
    `service  ${request.name}: ${names.unit}`,
    `app      ${what}${framework}${script}`,
    `node     ${program.node}${program.version === null ? '' : `, ${program.version}`}`,
    `listens  ${where}${request.socket ? ', held by systemd' : ''}`,
    `account  ${request.user ?? 'made by the service manager'}`,
  ];
  const notes = warnings.map((warning) => `! ${warning}`);
  return `${plain([...lines, ...notes]).join('\n')}\n`;
}

export function changeText(change: Change): string {
  switch (change.kind) {
    case 'same':
      return '';
    case 'new':
      return fileText(change.file, true);
    case 'removed':
      return `- ${change.path}${change.keep === null ? '' : ` (edited; kept as ${change.keep})`}\n`;
    case 'changed': {
      const { file, before, keep } = change;
      const head = `~ ${file.path}${keep === null ? '' : ` (edited; the present one is kept as ${keep})`}`;
      const diff = diffOf(unsigned(shown(file, before)), unsigned(shown(file, file.content)));
      return `${head}\n${plain(diff)
        .map((line) => `    ${line}\n`)
        .join('')}`;
    }
  }
}

function fileText(file: PlannedFile, isBrief = false): string {
  const head = `+ ${file.path} (mode ${file.mode.toString(8).padStart(4, '0')})`;
  const lines = shown(file, file.content).trimEnd().split('\n');
  // The template is longer than a terminal, and the same for every service.
  if (isBrief && file.path.includes('/rom-agent@.')) return `${head}: ${lines.length} lines, as shipped\n`;
  return `${head}\n${plain(lines)
    .map((line) => `    ${line}\n`)
    .join('')}`;
}

/** The values of variables may be secrets. */
function shown({ mode, path }: PlannedFile, text: string): string {
  if ((mode & 0o077) !== 0) return text;
  if (!path.endsWith('.plist'))
    return text.replaceAll(/^([A-Za-z_]\w*)=.*(?:\n(?![A-Za-z_]\w*=|#).+)*/gm, '$1=...');
  return text.replace(/<key>EnvironmentVariables<\/key>\s*<dict>[\s\S]*?<\/dict>/, (variables) =>
    variables.replaceAll(/(<key>(?!ROM_AGENT_|STATE_|RUNTIME_)\w+<\/key>\s*<string>)[^<]*/g, '$1...'),
  );
}

function unsigned(text: string): string {
  return text.replace(/^.*Written by rom-agent install.*\n/m, '');
}

function commandsText({ plan }: Prepared): string {
  return `Then:\n${plan.commands.map((argv) => `    ${joinWords(argv)}\n`).join('')}`;
}

function questionFor({ steps, names }: Prepared): string {
  const what = {
    start: `Write this, and start ${names.unit}?`,
    reload: `Write this, and reload ${names.unit}, which serves meanwhile?`,
    restart: `Write this, and restart ${names.unit}?`,
    none: 'Write this?',
  };
  return what[steps.effect];
}

function nextLines({ names, request, steps }: Prepared, answer: string | null): readonly string[] {
  const { name } = request;
  const done = { start: 'started', reload: 'reloaded', restart: 'restarted', none: 'as it should be' };
  const isMac = names.unit.startsWith('org.');
  const rows = [
    ['look', `rom-agent status --name ${name}`],
    ['log', isMac ? `tail -f ${names.logs}/rom-agent.log` : `journalctl -u ${names.short} -f`],
    ['release', isMac ? `sudo rom-agent reload --name ${name}` : `sudo systemctl reload ${names.short}`],
    ['settings', `${names.config}, then reload; sudo rom-agent doctor --name ${name}`],
    ['undo', `sudo rom-agent uninstall ${name}`],
  ];
  return [
    `${names.unit} is ${done[steps.effect]}.${answer === null ? '' : ` ${answer}.`}`,
    ...rows.map(([label = '', text = '']) => `  ${label.padEnd(9)} ${text}`),
  ];
}

export interface UninstallFlags {
  readonly purge?: boolean;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

/** `rom-agent uninstall shop`. */
export async function uninstallCommand(name: string, flags: UninstallFlags): Promise<ExitCode> {
  const { cwd } = systemInput({});
  return uninstallService(name, { ...flags, seam: systemSeam(cwd), ...asking() });
}

export async function uninstallService(
  name: string,
  { purge = false, dryRun = false, seam, ...rest }: UninstallFlags & Omit<Installing, 'input'>,
): Promise<ExitCode> {
  const { terminal } = rest;
  if (!dryRun) checkHost(seam, `uninstall ${name}`);
  const removal = planRemoval(name, { purge, seam });
  const lines = [
    `stop     ${removal.names.unit}`,
    ...removal.removed.map((path) => `remove   ${path}`),
    ...removal.kept.map((sentence) => `keep     ${sentence}`),
  ];
  terminal.print(`${plain(lines).join('\n')}\n`);
  if (dryRun) return exitCodes.ok;
  const installing = { ...rest, seam } as Installing;
  if (!(await agreed(`Stop and remove ${removal.names.unit}?`, installing))) return exitCodes.tryAgain;
  const failures = await applyRemoval(removal, seam);
  for (const failure of failures) terminal.warn(plain(failure));
  if (failures.length > 0) return exitCodes.tryAgain;
  terminal.print(`${removal.names.unit} is removed.\n`);
  return exitCodes.ok;
}
