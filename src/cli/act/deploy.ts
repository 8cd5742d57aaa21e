import { exitCodes } from '../../errors.js';
import type { DeployLine, DeployRecord, DeployVerdict, ReleasesAnswer } from '../../protocol/deploy.js';
import { notRight } from '../arguments.js';
import { moment, span, type Terminal, table } from '../output.js';
import { type CommandExit, interruptedExit, type Session } from '../session.js';

export interface DeployFlags {
  readonly dryRun?: boolean;
  readonly json?: boolean;
  readonly fleet?: boolean;
}

/** `rom-agent deploy [ref]`: a line a stage. The exit status is the verdict. */
export async function deployCommand(
  session: Session,
  ref: string | undefined,
  { dryRun = false, json = false, fleet = false }: DeployFlags,
): Promise<CommandExit> {
  const { client, by } = session;
  if (fleet) {
    if (dryRun) throw notRight('deploy: --dry-run', 'true', 'no --dry-run with --fleet');
    const { rolloutCommand } = await import('./fleet.js');
    return rolloutCommand(session, { by, kind: 'deploy', soak: true, ref }, { json });
  }
  const options = { by, dryRun, ...(ref === undefined ? {} : { ref }) };
  return follow(session, (show) => client.deploy(options, show), json);
}

/** `rom-agent rollback [id]` */
export function rollbackCommand(
  session: Session,
  release: string | undefined,
  { json = false }: { readonly json?: boolean },
): Promise<CommandExit> {
  const { client, by } = session;
  const options = { by, ...(release === undefined ? {} : { release }) };
  return follow(session, (show) => client.rollback(options, show), json);
}

async function follow(
  { terminal, interrupted }: Session,
  ask: (show: (line: DeployLine) => void) => ReturnType<Session['client']['deploy']>,
  json: boolean,
): Promise<CommandExit> {
  const show = (line: DeployLine): void => {
    if (json) terminal.printJson(line, 'line');
    else terminal.print(deployText(line, terminal));
  };
  const last = await orAborted(ask(show), interrupted());
  if (last === null) {
    terminal.warn('the deploy continues in the daemon; rom-agent releases shows what comes of it');
    return interruptedExit;
  }
  if (last.type === 'plan') return last.isGood ? exitCodes.ok : exitCodes.config;
  return exitOf(last.record.verdict);
}

/** One line of a deploy, as a person reads it. */
export function deployText(line: DeployLine, { paint }: Terminal): string {
  switch (line.type) {
    case 'answer':
      return `${line.message}\n`;
    case 'stage': {
      const at = (line.atMs / 1000).toFixed(2).padStart(8);
      return `${at} s  ${(line.name ?? line.stage).padEnd(8)}  ${line.detail}\n`;
    }
    case 'output':
      return `            ${line.name}: ${line.text}\n`;
    case 'plan': {
      const rows = line.findings.map(({ what, isGood, detail }) => [
        paint(isGood ? 'green' : 'red', isGood ? 'ok' : 'no'),
        what,
        detail,
      ]);
      return `${table(rows)}${line.isGood ? 'the deploy could begin' : 'the deploy could not begin'}\n`;
    }
    case 'record':
      return `${summary(line.record, paint)}\n`;
  }
}

const words: Readonly<Record<DeployVerdict, string>> = {
  done: 'serves',
  unchanged: 'has nothing new',
  failed: 'failed; what served before serves',
  'rolled-back': 'was rolled back; what served before serves',
  interrupted: 'was interrupted; what served before serves',
};

function summary({ id, commit, tookMs, verdict, reason }: DeployRecord, paint: Terminal['paint']): string {
  const isGood = verdict === 'done' || verdict === 'unchanged';
  const of = commit === null ? '' : ` (${commit.slice(0, 12)})`;
  const why = reason === null ? '' : `: ${reason}`;
  return `release ${id}${of} ${paint(isGood ? 'green' : 'red', words[verdict])} after ${span(tookMs)}${why}`;
}

function exitOf(verdict: DeployVerdict): CommandExit {
  if (verdict === 'done' || verdict === 'unchanged') return exitCodes.ok;
  return exitCodes.appFailed;
}

/** `rom-agent releases` */
export async function releasesCommand(
  { client, terminal }: Session,
  { json = false }: { readonly json?: boolean },
): Promise<CommandExit> {
  const found = await client.releases();
  if (json) terminal.printJson(found, 'pretty');
  else terminal.print(releasesText(found, terminal));
  return exitCodes.ok;
}

/** Releases that are there, and deploys that left none. */
export function releasesText(answer: ReleasesAnswer, { paint }: Terminal): string {
  const { directory, releases, deploys, underWay } = answer;
  const begun =
    underWay === null
      ? ''
      : `deploy ${underWay.id} by ${underWay.by} is at the stage ${underWay.stage}, since ${moment(underWay.atMs)}\n`;
  if (releases.length === 0 && deploys.length === 0) return `${begun}no releases in ${directory} yet\n`;
  const heads = ['RELEASE', 'CURRENT', 'REF', 'COMMIT', 'WHEN', 'BY', 'TOOK', 'VERDICT', 'REASON'];
  const head = heads.map((text) => paint('bold', text));
  const there = new Set(releases.map(({ id }) => id));
  const current = new Map(releases.map(({ id, isCurrent }) => [id, isCurrent]));
  const unknown = releases.filter(({ deploy }) => deploy === null).map(({ id }) => ({ id, record: null }));
  const known = deploys.map((record) => ({ id: record.id, record }));
  const shown = new Set<string>();
  const rows = [...known, ...unknown].map(({ id, record }) => {
    const isFirst = !shown.has(id);
    shown.add(id);
    const mark = !there.has(id) ? 'gone' : isFirst && current.get(id) === true ? 'yes' : '';
    if (record === null) return [id, mark, '-', '-', '-', '-', '-', '-', ''];
    const { ref, commit, atMs, by, origin, tookMs, verdict, reason } = record;
    const isGood = verdict === 'done' || verdict === 'unchanged';
    return [
      ...[id, mark, ref ?? '-', commit?.slice(0, 12) ?? '-', moment(atMs)],
      origin === 'command' ? by : `${by} (${origin})`,
      ...[span(tookMs), paint(isGood ? 'green' : 'red', verdict), reason ?? ''],
    ];
  });
  return `${begun}${table([head, ...rows])}`;
}

/** null where the signal was first. */
function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | null> {
  const aborted = new Promise<null>((resolve) => {
    if (signal.aborted) resolve(null);
    signal.addEventListener('abort', () => resolve(null), { once: true });
  });
  return Promise.race([promise, aborted]);
}
