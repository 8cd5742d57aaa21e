import { exitCodes, RomAgentError } from '../../errors.js';
import { inWords } from '../../jobs/policy.js';
import { badVerdicts, type JobRun, type JobStatus, type JobVerdict } from '../../protocol/jobs.js';
import { notRight } from '../arguments.js';
import { type Colour, moment, plain, span, type Terminal, table } from '../output.js';
import type { CommandExit, Session } from '../session.js';

export interface JobsFlags {
  /** The id of a run. */
  readonly run?: string;
  readonly json?: boolean;
}

/** `rom-agent jobs`, `jobs run NAME` and `jobs log NAME`. */
export async function jobsCommand(
  session: Session,
  flags: JobsFlags,
  { action, name }: { readonly action: string | undefined; readonly name: string | undefined },
): Promise<CommandExit> {
  if (action === undefined) return list(session, flags);
  if (action !== 'run' && action !== 'log')
    throw notRight('jobs: action', action, 'run or log, or nothing for the list');
  if (name === undefined) {
    throw new RomAgentError(`jobs ${action}: expected the name of a job; rom-agent jobs lists them`, {
      exitCode: exitCodes.usage,
    });
  }
  return action === 'run' ? run(session, flags, name) : log(session, flags, name);
}

async function list({ client, terminal, clock }: Session, { json }: JobsFlags): Promise<CommandExit> {
  const jobs = await client.jobs();
  if (json === true) terminal.printJson(jobs, 'pretty');
  else
    terminal.print(
      jobs.length === 0
        ? 'no jobs: the configuration has no [jobs.NAME]\n'
        : tableOf(jobs, { terminal, now: clock() }),
    );
  return exitCodes.ok;
}

function tableOf(
  jobs: readonly JobStatus[],
  { terminal, now }: { readonly terminal: Terminal; readonly now: number },
): string {
  const heads = 'JOB SCHEDULE NEXT LAST TOOK VERDICT NOW'.split(' ');
  const rows = jobs.map(({ name, schedule, timezone, enabled, nextMs, running, queued, last }) => [
    name,
    timezone === null ? schedule : `${schedule} ${timezone}`,
    nextMs === null
      ? enabled
        ? 'never'
        : 'not enabled'
      : `${moment(nextMs)}, in ${span(Math.max(0, nextMs - now))}`,
    last === null ? '-' : moment(last.startedMs),
    last === null || last.endedMs === null || last.attempts === 0 ? '-' : span(last.endedMs - last.startedMs),
    last?.verdict == null ? '-' : terminal.paint(colourOf(last.verdict), last.verdict),
    [
      ...running.map((each) => `runs for ${span(Math.max(0, now - each.startedMs))}`),
      ...(queued === 0 ? [] : [`${queued} waiting`]),
    ].join(', ') || '-',
  ]);
  return table([heads.map((head) => terminal.paint('bold', head)), ...rows]);
}

/** Streams what the run writes. */
async function run(
  { client, terminal, by }: Session,
  { json }: JobsFlags,
  name: string,
): Promise<CommandExit> {
  let isLineOpen = false;
  const ended = await client.runJob(name, by, (line) => {
    if (json === true) return terminal.printJson(withoutLines(line), 'line');
    if (line.type !== 'output') return;
    const text = plain(line.lines).join('\n');
    if (text !== '') isLineOpen = !text.endsWith('\n');
    terminal.print(text);
  });
  if (json === true) return exitOf(ended.verdict);
  // What a run has written need not end its last line; the verdict begins one.
  if (isLineOpen) terminal.print('\n');
  terminal.warn(summary(plain(ended)));
  return exitOf(ended.verdict);
}

/** They are for people. */
function withoutLines<T extends object>(document: T): Omit<T, 'lines'> {
  const { lines: _, ...rest } = { lines: [], ...document };
  return rest as Omit<T, 'lines'>;
}

function exitOf(verdict: JobVerdict | null): CommandExit {
  if (verdict === 'done') return exitCodes.ok;
  return verdict === 'skipped' ? exitCodes.tryAgain : exitCodes.appFailed;
}

async function log(
  { client, terminal }: Session,
  { run: id, json }: JobsFlags,
  name: string,
): Promise<CommandExit> {
  const found = await client.jobLog(name, id ?? null);
  if (json === true) {
    terminal.printJson(withoutLines(found), 'pretty');
    return exitCodes.ok;
  }
  const { runs, run, lines } = found;
  if (runs.length === 0) terminal.print(`no runs of ${name} yet\n`);
  else if (id === undefined) terminal.print(`${runsTable(runs, terminal)}\n`);
  if (run === null) return exitCodes.ok;
  terminal.print(`${terminal.paint('bold', `run ${run.id}`)}: ${summary(run)}\n`);
  const text = lines.join('\n');
  terminal.print(text === '' ? 'it wrote nothing\n' : text.endsWith('\n') ? text : `${text}\n`);
  return exitCodes.ok;
}

function runsTable(runs: readonly JobRun[], { paint }: Terminal): string {
  const heads = 'RUN STARTED TOOK VERDICT BY ATTEMPTS REASON'.split(' ');
  const rows = runs.map(({ id, startedMs, endedMs, verdict, by, attempts, reason }) => [
    id,
    moment(startedMs),
    endedMs === null || attempts === 0 ? '-' : span(endedMs - startedMs),
    verdict === null ? 'running' : paint(colourOf(verdict), verdict),
    ...[by, String(attempts), reason ?? ''],
  ]);
  return table([heads.map((head) => paint('bold', head)), ...rows], { right: [5] });
}

function summary({ job, verdict, reason, startedMs, endedMs, attempts }: JobRun): string {
  if (verdict === null) return `the job ${job} is running`;
  const took = attempts === 0 || endedMs === null ? '' : ` after ${span(endedMs - startedMs)}`;
  const tries = attempts > 1 ? `, in ${attempts} attempts` : '';
  return `the job ${job} ${inWords(verdict, reason)}${took}${tries}`;
}

function colourOf(verdict: JobVerdict): Colour {
  if (verdict === 'done') return 'green';
  return badVerdicts.has(verdict) ? 'red' : 'yellow';
}
