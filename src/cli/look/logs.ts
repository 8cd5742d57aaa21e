import { systemInput } from '../../config/system.js';
import type { ControlClient } from '../../control/client.js';
import { exitCodes, RomAgentError } from '../../errors.js';
import { keyValues } from '../../logging/format.js';
import { type ReadOptions, readLog } from '../../logging/read-log.js';
import type { ControlEvent } from '../../protocol/control-api.js';
import {
  describeSource,
  type LogLine,
  type LogSource,
  logLevels,
  mostLogLines,
} from '../../protocol/log-line.js';
import { mostWhyLines } from '../../protocol/why.js';
import { notRight, sinceOf, wholeNumber } from '../arguments.js';
import { type Colour, moment, type Terminal, timeOfDay } from '../output.js';
import type { CommandExit, Session } from '../session.js';
import { createOwners, findOwners, type Owners } from './log-owners.js';

export interface LogsFlags {
  readonly follow?: boolean;
  readonly lines: string;
  readonly worker?: string;
  readonly level?: string;
  readonly since?: string;
  readonly json?: boolean;
  readonly name?: string;
}

/** `rom-agent logs`: from where the log of the service is kept, which nobody has to know. */
export async function logsCommand(session: Session, flags: LogsFlags): Promise<CommandExit> {
  const { terminal, clock, interrupted } = session;
  const { follow = false, json = false } = flags;
  const wants = filterOf(flags);
  const lines = wholeNumber('--lines:', flags.lines, inNumbers);
  const since = flags.since === undefined ? null : sinceOf('--since:', flags.since, clock());
  const source = await findLog(session, flags);
  const today = moment(clock()).slice(0, 10);
  let shown = 0;
  const options = {
    ...{ lines, since, follow, wants },
    signal: AbortSignal.any([interrupted(), terminal.readerGone]),
  };
  const show = (line: LogLine): void => {
    shown += 1;
    if (json) terminal.printJson(line, 'line');
    else terminal.print(`${laidOut(line, { terminal, today })}\n`);
  };
  if (source.kind === 'none') {
    terminal.warn(
      'the log is kept nowhere, as the daemon writes to a terminal or a pipe: these are the last lines of its master; log.dir keeps all in a file a day',
    );
    await ofMaster(session.client, options, show);
  } else {
    const owners = source.kind === 'journal' ? await ownersOf(session, flags) : createOwners();
    if (follow && source.kind === 'journal') watchOwners(session, owners, options.signal);
    const named: ReadOptions = { ...options, wants: (line) => wants(owners.named(line)) };
    await readLog(source, named, (line) => show(owners.named(line)));
    if (shown === 0 && !follow) terminal.warn(`there is no such line in ${describeSource(source)}`);
  }
  return exitCodes.ok;
}

function ownersOf({ client, clock }: Session, flags: LogsFlags): Promise<Owners> {
  return findOwners({
    client,
    clock,
    recorded: async () => {
      const { stateDirectory } = await import('../state-directory.js');
      const { readLines } = await import('../../record/lines.js');
      try {
        const directory = await stateDirectory({ ...flags }, systemInput({ ...flags }));
        return await readLines(directory, { lines: mostWhyLines }, clock());
      } catch {
        // The log says the most that it can without them.
        return [];
      }
    },
  });
}

/** The daemon tells of a worker before the app in it prints. */
function watchOwners({ client, clock }: Session, owners: Owners, signal: AbortSignal): void {
  const note = (event: ControlEvent): void => {
    if (event.type === 'worker' && event.pid !== null && event.worker !== null)
      owners.note(event.pid, event.worker, clock());
  };
  // Without a daemon there is no new worker.
  client.events(note, signal).catch(() => {});
}

/** Where the daemon that answers keeps its log, else the service that is meant. */
async function findLog({ client }: Session, flags: Pick<LogsFlags, 'name'>): Promise<LogSource> {
  const answer = await askDaemon(client);
  if (!(answer instanceof RomAgentError)) return answer;
  const { meantService, theService } = await import('../service.js');
  const input = systemInput({});
  const meant = flags.name === undefined ? await theService(input) : await meantService(flags.name, input);
  if (meant === null) throw answer;
  const { logFile: path, service } = meant;
  return path === null ? { kind: 'journal', unit: service.unit, ofUser: false } : { kind: 'file', path };
}

/** An error where none answers. */
async function askDaemon(client: ControlClient): Promise<LogSource | RomAgentError> {
  let source: LogSource = { kind: 'none' };
  try {
    await client.logs({
      lines: 0,
      follow: false,
      onLine: (line) => {
        if (line.type === 'source') source = line.source;
      },
    });
    return source;
  } catch (error) {
    if (error instanceof RomAgentError) return error;
    throw error;
  }
}

/** The master's own lines, of which it keeps the last in its memory. */
async function ofMaster(
  client: ControlClient,
  { lines, since, follow, signal, wants = () => true }: ReadOptions,
  onLine: (line: LogLine) => void,
): Promise<void> {
  const isWanted = (line: LogLine): boolean => wants(line) && (since === null || line.atMs >= since);
  // Nobody knows how far the wanted lines reach back.
  let kept = 0;
  let found: LogLine[] = [];
  const showFound = (): void => {
    for (const line of found.slice(-lines)) onLine(line);
    found = [];
  };
  await client.logs({
    lines: mostLogLines,
    follow,
    signal,
    onLine: (line) => {
      if (line.type === 'source') {
        kept = line.lines;
        return;
      }
      if (kept > 0) {
        kept -= 1;
        if (isWanted(line.line)) found.push(line.line);
        if (kept === 0) showFound();
      } else if (isWanted(line.line)) onLine(line.line);
    },
  });
  showFound();
}

/** @throws RomAgentError exit 64 */
function filterOf({ worker, level }: LogsFlags): (line: LogLine) => boolean {
  const number = worker === undefined ? null : wholeNumber('--worker:', worker, inNumbers);
  const least = level === undefined ? 0 : (logLevels as readonly string[]).indexOf(level);
  if (least === -1) throw notRight('--level:', level ?? '', `one of ${logLevels.join(', ')}`);
  return (line) => (number === null || line.worker === number) && logLevels.indexOf(line.level) >= least;
}

const inNumbers = { most: 9_999_999, expected: 'a whole number from 1' };

const colours: Partial<Record<LogLine['level'], Colour>> = {
  trace: 'dim',
  debug: 'dim',
  warn: 'yellow',
  error: 'red',
  fatal: 'red',
};

function laidOut(line: LogLine, { terminal, today }: { terminal: Terminal; today: string }): string {
  const { atMs, level, message, fields } = line;
  const { paint } = terminal;
  const at = moment(atMs).startsWith(today) ? timeOfDay(atMs) : moment(atMs);
  const colour = colours[level];
  const { pairs, stacks } = keyValues(fields, { stacks: 'apart' });
  const word = level.toUpperCase().padEnd(5);
  return [
    paint('dim', at),
    colour === undefined ? word : paint(colour, word),
    paint('dim', whoOf(line)),
    message,
    ...pairs.map(({ key, value }) => paint('dim', `${key}=${value}`)),
    ...stacks.map((stack) => `\n${stack.replace(/^/gm, '    ')}`),
  ].join(' ');
}

function whoOf({ from, worker, pid }: LogLine): string {
  if (from === 'master') return 'master  ';
  return worker === null ? `pid ${pid ?? '?'}`.padEnd(8) : `worker ${worker}`;
}
