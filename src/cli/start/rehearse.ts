import { accessSync, constants, existsSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';
import { type Loaded, loadConfig } from '../../config/load.js';
import { systemInput } from '../../config/system.js';
import { exitCodes, RomAgentError } from '../../errors.js';
import { count } from '../../protocol/words.js';
import { type Act, acts } from '../../rehearse/observations.js';
import { type Chosen, fromHar, fromList, fromOpenApi, readNamed } from '../../rehearse/paths.js';
import { rehearse } from '../../rehearse/rehearse.js';
import { findingsOf, type RehearsalReport, toJUnit } from '../../rehearse/report.js';
import { duration } from '../../settings/kinds.js';
import { configFile } from '../../settings/settings.js';
import { notRight, wholeNumber } from '../arguments.js';
import { type Colour, openTerminal, plain, span, type Terminal, table } from '../output.js';
import { type CommandExit, interruptedExit } from '../session.js';

/** `rom-agent rehearse`: 70 where something would be lost in production. @throws RomAgentError */
export async function rehearseCommand(
  app: string | undefined,
  flags: Readonly<Record<string, unknown>>,
): Promise<CommandExit> {
  const terminal = openTerminal();
  const only = actsOf(flags.only);
  const workers = wholeNumber('rehearse: --workers', String(flags.workers), { most: 64 });
  const loadMs = durationOf(String(flags.duration));
  const input = systemInput({
    ...(app === undefined ? {} : { app }),
    ...(flags.args === undefined ? {} : { args: flags.args }),
    ...(flags.config === undefined ? {} : { [configFile.flagName]: flags.config }),
  });
  const loaded = await loadConfig(input);
  refuseProcesses(loaded);
  refuseMissing(loaded);
  if (typeof flags.junit === 'string') tryJUnit(flags.junit);
  const chosen = await samplesOf(flags);
  if (chosen?.leftOut != null) terminal.warn(`left out: ${chosen.leftOut}`);
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  const report = await rehearse({
    app: app ?? loaded.config.app ?? 'the built-in app',
    loaded,
    readFile: input.readFile,
    cwd: input.cwd,
    script: process.argv[1] ?? '',
    env: process.env,
    workers,
    samples: chosen?.samples ?? null,
    only,
    loadMs,
    cut: typeof flags.cut === 'string' ? flags.cut : null,
    onAct: (act) => void (flags.json === true || terminal.warn(`rehearsing: ${act}`)),
    signal: stop.signal,
  });
  if (stop.signal.aborted) return interruptedExit;
  if (typeof flags.junit === 'string') writeJUnit(flags.junit, report);
  const findings = findingsOf(report);
  if (flags.json === true) terminal.printJson({ ...report, findings }, 'pretty');
  else terminal.print(reportOf(plain(report), terminal));
  return findings.length === 0 ? exitCodes.ok : exitCodes.appFailed;
}

const colours: Readonly<Record<RehearsalReport['verdicts'][number]['result'], Colour>> = {
  ok: 'green',
  findings: 'red',
  skipped: 'dim',
};

/** A line an act, then what was found, with what to do about it. */
export function reportOf(report: RehearsalReport, { paint }: Pick<Terminal, 'paint'>): string {
  const { app, workers, node, tookMs, verdicts } = report;
  const rows = verdicts.map(({ act, result, summary, findings }) => [
    paint(colours[result], result === 'findings' ? count(findings.length, 'finding') : result),
    act,
    summary,
  ]);
  const findings = findingsOf(report);
  const list = findings.map(
    ({ act, text, advice }, index) =>
      `${index + 1}. ${paint('bold', act)}: ${text}\n   ${paint('bold', '->')} ${advice}\n`,
  );
  const sum =
    findings.length === 0
      ? paint('green', 'nothing would be lost in production, as far as this shows')
      : paint('red', `${count(findings.length, 'finding')}:`);
  const head = `${app} with ${count(workers, 'worker')} on Node ${node}, ${span(tookMs)}`;
  return `${head}\n\n${table(rows)}\n${sum}\n${list.join('')}`;
}

function actsOf(given: unknown): ReadonlySet<Act> {
  if (given === undefined) return new Set(acts);
  const names = String(given).split(',');
  for (const name of names)
    if (!(acts as readonly string[]).includes(name))
      throw notRight('rehearse: --only', name, `acts with commas between them: ${acts.join(', ')}`);
  return new Set(names as Act[]);
}

const loadTime = duration({ min: 100, max: 600_000 });

function durationOf(text: string): number {
  const ms = loadTime.parse(text, 'text');
  if (ms === undefined) throw notRight('rehearse: --duration', text, loadTime.expected);
  return ms;
}

function refuseProcesses({ config, origins }: Loaded): void {
  if (config.kind === 'server') return;
  throw new RomAgentError(
    `kind: "process" (from ${origins.kind}) is not right for rehearse: expected "server", an app that answers requests`,
    { exitCode: exitCodes.usage },
  );
}

/** An app that is not there is a mistake of the command, not a finding. */
function refuseMissing({ config: { app }, origins }: Loaded): void {
  if (app === null) return;
  try {
    createRequire(`${app}/`).resolve(app);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') return;
    const isThere = existsSync(app);
    const why = isThere
      ? 'has neither a package.json with a "main" that exists nor an index.js'
      : 'does not exist';
    throw new RomAgentError(`app: ${JSON.stringify(app)} (from ${origins.app}) ${why}`, {
      exitCode: exitCodes.moduleMissing,
      cause,
    });
  }
}

/** What is asked for; null: not given. @throws RomAgentError where several sources are named, or one is wrong */
async function samplesOf(flags: Readonly<Record<string, unknown>>): Promise<Chosen | null> {
  const named = sources.filter((name) => flags[name] !== undefined);
  const [name] = named;
  if (name === undefined) return null;
  if (named.length > 1)
    throw new RomAgentError(
      `rehearse: ${named.map((each) => `--${each}`).join(' and ')}: expected one of them`,
      {
        exitCode: exitCodes.usage,
      },
    );
  const file = String(flags[name]);
  switch (name) {
    case 'paths':
      return fromList(readNamed('--paths', file), file);
    case 'har':
      return fromHar(readNamed('--har', file), file);
    case 'openapi':
      return fromOpenApi(/^https?:/.test(file) ? await fetched(file) : readNamed('--openapi', file), file);
  }
}

const sources = ['paths', 'har', 'openapi'] as const;

async function fetched(url: string): Promise<string> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(10_000) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    return await answer.text();
  } catch (cause) {
    throw new RomAgentError(`--openapi ${JSON.stringify(url)} cannot be read: ${(cause as Error).message}`, {
      exitCode: exitCodes.moduleMissing,
      cause,
    });
  }
}

function writeJUnit(file: string, report: RehearsalReport): void {
  try {
    writeFileSync(file, toJUnit(report));
  } catch (cause) {
    throw notWritten(file, cause as Error);
  }
}

/** Before minutes are spent on what cannot be written. */
function tryJUnit(file: string): void {
  try {
    accessSync(existsSync(file) ? file : dirname(resolve(file)), constants.W_OK);
  } catch (cause) {
    throw notWritten(file, cause as Error);
  }
}

function notWritten(file: string, cause: Error): RomAgentError {
  return new RomAgentError(`--junit ${JSON.stringify(file)} cannot be written: ${cause.message}`, {
    exitCode: exitCodes.cannotCreate,
    cause,
  });
}
