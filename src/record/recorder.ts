import { usualWhyLines, type Why, type WhyLine, type WhyQuery } from '../protocol/why.js';
import { createEncoder, type Run } from './encode.js';
import { decisionsFile, lostMaster, matching, readLines, recordDirectory, turnsFile } from './lines.js';
import { createNarrator } from './narrator.js';
import { openRing } from './ring.js';
import type { Turn } from './turn.js';

export interface RecorderSeam {
  readonly stateDir: string;
  /** What both rings may take together, bytes. */
  readonly size: number;
  readonly run: Run;
  /** In words: `started by systemd`. */
  readonly startedBy: string;
  /** The monotonic clock, ms. */
  readonly now: () => number;
  /** Wall clock, ms since 1970. */
  readonly clock: () => number;
  /** Makes a directory and its parents. */
  readonly makeDirectory: (path: string) => Promise<void>;
  /** Calls back once what is going on now is done. */
  readonly soon: (callback: () => void) => void;
  readonly onProblem: (message: string, error: unknown) => void;
}

/** Keeps two rings in the state directory: what was decided, in words, and the turns of the core, to be run again. */
export interface Recorder {
  record(turn: Turn): void;
  /** Something that the core knows nothing of. */
  add(line: WhyLine): void;
  why(query: WhyQuery): Promise<Why>;
  /** Resolves once everything so far is written, or is lost. */
  settled(): Promise<void>;
}

/** Turns make up most of what is recorded; in words it is little, and is to last the longer for it. */
const shareOfTurns = 0.75;
/** What is not urgent waits until it is so much, bytes, or so old, ms: it costs a write, not a wake-up. */
const block = 64 * 1024;
const patience = 30_000;

export function createRecorder(seam: RecorderSeam): Recorder {
  const { stateDir, size, run, startedBy, now, clock, makeDirectory, soon, onProblem } = seam;
  const dir = recordDirectory(stateDir);
  let isTold = false;
  const common = {
    dir,
    makeDirectory: () => makeDirectory(dir),
    now,
    onProblem: (error: unknown) => {
      if (!isTold)
        onProblem(`cannot keep the record of decisions in ${dir} (record.size = 0: none is kept)`, error);
      isTold = true;
    },
  };
  const turns = openRing({ ...common, name: turnsFile, limit: Math.round((size * shareOfTurns) / 2) });
  const decisions = openRing({
    ...common,
    name: decisionsFile,
    limit: Math.round((size * (1 - shareOfTurns)) / 2),
  });
  const encoder = createEncoder(run);
  const narrator = createNarrator();
  let flushedAt = now();
  let isDue = false;
  let isBroken = false;
  /** What is told before it is known how the master before this one ended; null: it is. */
  let early: WhyLine[] | null = [];
  /** The last lines, for when the disk does not take them. */
  let recent: readonly WhyLine[] = [];

  const flush = async (): Promise<void> => {
    isDue = false;
    flushedAt = now();
    await begun;
    await Promise.all([turns.flush(), decisions.flush()]);
  };
  const append = (line: WhyLine): void => {
    decisions.turnIfFull();
    decisions.append(`${JSON.stringify(line)}\n`);
  };
  const write = (line: WhyLine): void => {
    recent = [...recent.slice(1 - mostRecent), line];
    if (early === null) append(line);
    else early.push(line);
    if (isDue) return;
    isDue = true;
    soon(() => void flush());
  };
  const tell = (turn: Turn): void => {
    if (turn.event.type === 'start') write(beginningOf(turn, { run, startedBy }));
    for (const line of narrator.narrate(turn)) write(line);
  };
  const begin = async (): Promise<void> => {
    const lost = await lostMaster(stateDir).catch(() => null);
    for (const line of [...(lost === null ? [] : [lost]), ...(early ?? [])]) append(line);
    early = null;
  };
  const begun = begin();
  return {
    record: (turn) => {
      if (isBroken) return;
      try {
        if (turns.accepts()) {
          turns.turnIfFull();
          if (turns.isFresh) turns.append(encoder.begin(turn));
          turns.append(encoder.encode(turn));
        }
        tell(turn);
        const isMuch = turns.waiting >= block || turn.now - flushedAt >= patience;
        if (isMuch && !isDue && turns.waiting > 0) void flush();
      } catch (error) {
        // The service is worth more than its record.
        isBroken = true;
        onProblem('a bug in the record of decisions: it ends here', error);
      }
    },
    add: write,
    why: async (query) => {
      await flush();
      const failure = turns.failure ?? decisions.failure;
      const lines = await readLines(stateDir, query, clock()).catch((error: unknown) => error);
      if (Array.isArray(lines) && failure === null) return { lines, problem: null };
      const problem = `the record cannot be ${Array.isArray(lines) ? 'written' : 'read'}: ${messageOf(failure ?? lines)}`;
      const filed: readonly WhyLine[] = Array.isArray(lines) ? lines : [];
      const last = filed.at(-1)?.at ?? '';
      const unfiled = matching(recent, query, clock()).filter(({ at }) => at > last);
      return { lines: [...filed, ...unfiled].slice(-(query.lines ?? usualWhyLines)), problem };
    },
    settled: async () => {
      await flush();
      await Promise.all([turns.settle(), decisions.settle()]);
    },
  };
}

/** Lines that are kept in memory. */
const mostRecent = 200;

function beginningOf(
  { clockMs }: Turn,
  { run, startedBy }: Pick<RecorderSeam, 'run' | 'startedBy'>,
): WhyLine {
  return {
    at: new Date(clockMs).toISOString(),
    worker: null,
    pid: run.pid,
    generation: null,
    kind: 'master',
    text: `rom-agent ${run.version} starts, PID ${run.pid}, Node ${run.node}`,
    cause: startedBy,
    advice: null,
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
