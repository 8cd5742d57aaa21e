import { systemInput } from '../../config/system.js';
import { exitCodes, RomAgentError } from '../../errors.js';
import {
  longestSince,
  type Why,
  type WhyKind,
  type WhyLine,
  type WhyQuery,
  whyKinds,
} from '../../protocol/why.js';
import { notRight, sinceOf, wholeNumber } from '../arguments.js';
import { plain, type Terminal, timeOfDay } from '../output.js';
import { type CommandExit, type Session, workerNumber } from '../session.js';

export interface WhyFlags {
  /** See sinceOf. */
  readonly since?: string;
  /** At most so many lines, the newest. */
  readonly number?: string;
  readonly json?: boolean;
}

/** `rom-agent why [about] [number]`: what was decided, and from what. */
export async function whyCommand(
  session: Session,
  flags: WhyFlags & Readonly<Record<string, unknown>>,
  about?: string,
  number?: string,
): Promise<CommandExit> {
  const { terminal, clock } = session;
  const asked = askedFor({ about, worker: number, flags, now: clock() });
  const why = await ask(session, asked.query, flags);
  const lines = why.lines.filter(asked.isMeant).slice(-asked.most);
  if (flags.json === true) {
    terminal.printJson({ ...why, lines }, 'pretty');
    return exitCodes.ok;
  }
  terminal.print(lines.length === 0 ? `nothing is recorded${asked.words}\n` : narration(lines, terminal));
  if (why.problem !== null) terminal.warn(plain(why.problem));
  return exitCodes.ok;
}

/**
 * The lines as text, a day under its date, each with what can be done about it below. A cause that the same worker's line
 * before has told is left out.
 */
export function narration(lines: readonly WhyLine[], { paint }: Pick<Terminal, 'paint'>): string {
  let day = '';
  const told = new Map<number | null, string | null>();
  const texts = condensed(lines).flatMap(({ line, others }) => {
    const { at, kind, worker, pid, text, cause, advice } = plain(line);
    const ms = Date.parse(at);
    const date = dateOf(ms);
    const head = date === day ? [] : [paint('bold', date)];
    day = date;
    const isAlone = others.length === 0;
    const and = isAlone ? '' : ` (and ${others.length === 1 ? 'worker' : 'workers'} ${others.join(', ')})`;
    // Two workers share a slot while one follows the other.
    const named = isAlone && pid !== null ? text.replace(/^(worker \d+|a spare)/, `$1 (${pid})`) : text;
    const isKnown = worker !== null && told.get(worker) === cause;
    for (const each of [worker, ...others]) told.set(each, cause);
    const why = cause === null || isKnown ? '' : `: ${cause}`;
    const below = advice === null ? [] : [paint('dim', `         > ${advice}`)];
    return [...head, `${timeOfDay(ms)} ${colourOf(kind, named, paint)}${and}${why}`, ...below];
  });
  return `${texts.join('\n')}\n`;
}

interface Group {
  readonly line: WhyLine;
  /** The workers that it says the same of. */
  readonly others: (number | null)[];
}

/** What befell several workers within the same second, from one cause, is one line. */
function condensed(lines: readonly WhyLine[]): readonly Group[] {
  const groups: Group[] = [];
  for (const line of lines) {
    const last = groups.at(-1);
    if (last !== undefined && line.worker !== null && isAlike(last.line, line)) last.others.push(line.worker);
    else groups.push({ line, others: [] });
  }
  return groups;
}

function isAlike(one: WhyLine, other: WhyLine): boolean {
  if (one.worker === null || one.kind !== other.kind || one.advice !== other.advice) return false;
  const same = (text: string | null, { worker }: WhyLine): string =>
    (text ?? '').replaceAll(`worker ${worker}`, 'worker').replace(/ after [\d.]+ s$/, '');
  return (
    one.at.slice(0, 19) === other.at.slice(0, 19) &&
    same(one.text, one) === same(other.text, other) &&
    same(one.cause, one) === same(other.cause, other)
  );
}

const bad: ReadonlySet<WhyKind> = new Set(['died', 'killed', 'lost']);
const odd: ReadonlySet<WhyKind> = new Set(['health', 'stall', 'memory', 'watchdog', 'poison', 'refused']);

function colourOf(kind: WhyKind, text: string, paint: Terminal['paint']): string {
  if (bad.has(kind)) return paint('red', text);
  return odd.has(kind) ? paint('yellow', text) : text;
}

function dateOf(ms: number): string {
  const at = new Date(ms);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

interface Asked {
  readonly query: WhyQuery;
  readonly isMeant: (line: WhyLine) => boolean;
  /** At most so many, of those that are meant. */
  readonly most: number;
  /** Behind "nothing is recorded". */
  readonly words: string;
}

const usual = 200;
const all = 10_000;

interface Words {
  readonly about: string | undefined;
  readonly worker: string | undefined;
  readonly flags: WhyFlags;
  readonly now: number;
}

/** What the daemon takes: whole seconds, of ten years at most. */
function secondsSince(from: number, now: number): number {
  return Math.min(longestSince, Math.max(1, Math.ceil((now - from) / 1_000)));
}

/** @throws RomAgentError exit 64 where a word is none that is known */
function askedFor({ about, worker: number, flags, now }: Words): Asked {
  const { since } = flags;
  const from = since === undefined ? undefined : sinceOf('why: --since', since, now);
  const lately = since === undefined ? '' : ` ${/^\d{4}-/.test(since) ? 'since' : 'of the last'} ${since}`;
  const query = from === undefined ? {} : { since: secondsSince(from, now) };
  const most = flags.number === undefined ? usual : wholeNumber('why: -n', flags.number, { most: 9_999 });
  if (about === undefined)
    return { query: { ...query, lines: most }, isMeant: () => true, most, words: lately };
  if (about === 'worker') {
    const worker = workerNumber('why', number ?? '');
    const words = ` of worker ${worker}${lately === '' ? '' : `,${lately}`}`;
    return { query: { ...query, worker, lines: most }, isMeant: () => true, most, words };
  }
  const kinds = topics[about] ?? (isKind(about) ? [about] : undefined);
  if (kinds === undefined || number !== undefined) {
    const what = [about, number].filter((word) => word !== undefined).join(' ');
    const known = ['worker NUMBER', ...Object.keys(topics)].join(', ');
    throw notRight('why:', what, `one of ${known}`);
  }
  const words = ` about ${about}${lately === '' ? '' : `,${lately}`}`;
  return { query: { ...query, lines: all }, isMeant: ({ kind }) => kinds.includes(kind), most, words };
}

/** What can be asked about, beside a worker. */
const topics: Readonly<Record<string, readonly WhyKind[]>> = {
  reload: ['reload'],
  deaths: ['died', 'killed', 'lost'],
  health: ['health', 'stall', 'watchdog'],
  memory: ['memory'],
  scale: ['scale'],
  service: ['master', 'service', 'exit', 'lost', 'watchdog'],
};

function isKind(word: string): word is WhyKind {
  return whyKinds.some((kind) => kind === word);
}

/** Of the daemon, or where none answers, from the files that it left. */
async function ask(
  { client, terminal, clock }: Session,
  query: WhyQuery,
  flags: Readonly<Record<string, unknown>>,
): Promise<Why> {
  try {
    return await client.why(query);
  } catch (error) {
    if (!(error instanceof RomAgentError)) throw error;
    const { stateDirectory } = await import('../state-directory.js');
    const directory = await stateDirectory(flags, systemInput(flags));
    const { lostMaster, readLines } = await import('../../record/lines.js');
    try {
      const lines = await readLines(directory, query, clock());
      // One that does not answer may live all the same.
      const isGone = error.exitCode === exitCodes.addressInUse;
      const lost = isGone && query.worker === undefined ? await lostMaster(directory) : null;
      if (flags.json !== true)
        terminal.warn(plain(`${error.message.split(';')[0]}: this is what ${directory} has`));
      return { lines: lost === null ? lines : [...lines, lost], problem: null };
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code !== 'EACCES' && code !== 'EPERM') throw cause;
      throw new RomAgentError(`why: no permission to read ${directory}; use sudo`, {
        exitCode: exitCodes.noPermission,
        cause,
      });
    }
  }
}
