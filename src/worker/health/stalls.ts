import type { url as inspectorUrl } from 'node:inspector';
import { findSourceMap } from 'node:module';
import { PerformanceObserver, performance } from 'node:perf_hooks';
import { clearInterval, setInterval } from 'node:timers';
import type { Worker } from 'node:worker_threads';
import { scriptPath } from '../../protocol/capture.js';
import type { Millis } from '../../protocol/limits.js';
import type { RequestNote } from '../../protocol/requests.js';
import type { Stall } from '../../protocol/stall.js';
import {
  type Blame,
  blame,
  causeOf,
  createLimiter,
  overlap,
  type SeenFrame,
  type StackLook,
} from './stall-policy.js';
import { hrtime, type Turn, type Turns } from './turns.js';
import { lookSymbol } from './witness.js';
import { shared, type ToThread } from './witness-thread.js';

export interface StallsSeam {
  /** The thread that looks at this one while it is blocked: see startWitness. */
  readonly thread: Worker;
  /** From how long on a stall is reported. */
  readonly threshold: Millis;
  readonly turns: Turns;
  /** The directory of this program's own files. */
  readonly own: string;
  /** Requests in flight. */
  readonly current: () => readonly RequestNote[];
  readonly tell: (stall: Stall) => void;
}

/** A function's stalls are reported once in this time; the others are counted. */
const reportEvery = 10_000;
/** Beats per threshold: the length of a stall is known to half a beat. */
const beatsPerThreshold = 8;
const shortestBeat = 10;
const longestBeat = 250;
/** Shorter pauses of the garbage collector explain no stall, ms. */
const longPause = 5;
const keptPauses = 50;
const mostFrames = 30;

/**
 * Reports from now on when the event loop is blocked for longer than the threshold. The main thread writes the time into
 * shared memory, at each beat of a timer while it is busy and else at the end of each turn; all else happens in the
 * thread, unless there is a stall.
 */
export async function watchStalls({
  thread,
  threshold,
  turns,
  own,
  current,
  tell,
}: StallsSeam): Promise<void> {
  const { url } = await import('node:inspector');
  const interval = Math.round(Math.min(longestBeat, Math.max(shortestBeat, threshold / beatsPerThreshold)));
  const memory = new SharedArrayBuffer(shared.length * Float64Array.BYTES_PER_ELEMENT);
  const times = new Float64Array(memory);
  const pauses = watchPauses();
  const limiter = createLimiter(reportEvery);
  const ask = createMapper(thread);
  offerLook(process, { url, current });

  const turned = ({ to, tookMs }: Pick<Turn, 'to' | 'tookMs'>): void => {
    // A short one that follows at once must not hide a long one that the thread has not seen yet.
    const isHidden = times[shared.count] !== times[shared.taken] && tookMs <= (times[shared.took] ?? 0);
    if (tookMs >= threshold && !isHidden) {
      // By which the thread knows at which stall it has looked.
      times[shared.from] = times[shared.beat] ?? 0;
      times[shared.to] = to;
      times[shared.took] = tookMs;
      times[shared.count] = (times[shared.count] ?? 0) + 1;
    }
    times[shared.beat] = to;
  };
  let beats: NodeJS.Timeout | null = null;
  let lookedForDebugger = 0;
  const rest = (isIdle: boolean, at: Millis): void => {
    times[shared.beat] = at;
    times[shared.idle] = isIdle ? 1 : 0;
    watchDebugger();
    if (beats !== null) clearInterval(beats);
    beats = isIdle ? null : setInterval(beat, interval).unref();
  };
  // A session that looks while another one has the main thread stand still could keep it there.
  const watchDebugger = (at = hrtime()): void => {
    lookedForDebugger = at;
    times[shared.debugged] = url() === undefined ? 0 : 1;
  };
  const beat = (): void => {
    watchDebugger();
    const from = times[shared.beat] ?? 0;
    const to = hrtime();
    turned({ to, tookMs: to - from - interval / 2 });
  };
  rest(false, hrtime());
  let ended = false;
  thread.once('exit', () => {
    ended = true;
    if (beats !== null) clearInterval(beats);
  });
  thread.on('message', (message: Stalled | { type: 'mapped' } | { type: 'sees' }) => {
    if (message.type === 'sees') {
      if (!turns.busy()) rest(true, hrtime());
      turns.onChange((busy, at) => (ended ? undefined : rest(!busy, at)));
      turns.onTurn((turn) => {
        if (ended || beats !== null) return;
        turned(turn);
        if (turn.to - lookedForDebugger >= interval) watchDebugger(turn.to);
      });
    }
    // While a debugger is open, the main thread may stand at a breakpoint.
    if (message.type !== 'stalled' || url() !== undefined) return;
    void report(message).catch(() => {});
  });
  // A listener for its messages keeps this process running, and an app that ends by having nothing left to do would not end.
  thread.unref();
  const begin: ToThread = { type: 'watch', shared: memory, threshold, interval };
  thread.postMessage(begin);

  const report = async (stall: Stalled): Promise<void> => {
    const { from, to, notRunMs, looks, requests } = stall;
    const tookMs = round(stall.tookMs);
    const gcMs = round(Math.min(tookMs, overlap(pauses(), { from, to })));
    const cause = causeOf({ tookMs, gcMs, notRunMs }, threshold);
    const blamed = cause === 'code' ? blame(looks, (file) => scriptPath(file).startsWith(own)) : null;
    if (blamed === 'own') return;
    const more = limiter.admit(nameOf(cause, blamed), hrtime());
    if (more === null) return;
    tell({
      tookMs,
      cause,
      gcMs,
      notRunMs: round(Math.min(tookMs, notRunMs)),
      ...(await placeOf(blamed, ask)),
      looks: looks.length,
      requests: requests ?? [],
      more,
    });
  };
}

/** What the thread tells. */
interface Stalled {
  readonly type: 'stalled';
  /** ms of process.hrtime() */
  readonly from: Millis;
  readonly to: Millis;
  readonly tookMs: Millis;
  readonly notRunMs: Millis;
  readonly looks: readonly StackLook[];
  /** null: nobody could look. */
  readonly requests: readonly RequestNote[] | null;
}

function nameOf(cause: Stall['cause'], blamed: Blame | null): string {
  return blamed === null ? cause : `${blamed.frame.function} ${blamed.frame.file}`;
}

const nowhere = {
  function: null,
  file: null,
  line: null,
  column: null,
  exact: false,
  share: 0,
  stack: null,
} as const;

async function placeOf(blamed: Blame | null, map: Mapper): Promise<Pick<Stall, keyof typeof nowhere>> {
  if (blamed === null) return nowhere;
  const { frame, exact, share } = blamed;
  const [place = frame, ...stack] = await map([frame, ...blamed.stack.slice(0, mostFrames)]);
  return {
    function: place.function,
    file: place.file === null ? null : scriptPath(place.file),
    line: place.line,
    column: place.column,
    exact,
    share,
    stack: stack.map((each) => `    at ${describe(each)}`).join('\n'),
  };
}

function describe({ function: name, file, line, column }: SeenFrame): string {
  const place = file === null ? '<anonymous>' : `${scriptPath(file)}:${line}:${column}`;
  return name === null ? place : `${name} (${place})`;
}

/** Frames as their sources have them. */
type Mapper = (frames: readonly SeenFrame[]) => Promise<readonly SeenFrame[]>;

/** ms */
const mapperPatience = 5_000;

/** Node has read the source maps already where the app runs with --enable-source-maps; else the thread reads them. */
function createMapper(thread: Worker): Mapper {
  const waiting = new Map<number, (frames: readonly SeenFrame[]) => void>();
  let lastId = 0;
  thread.on('message', (message: { type: string; id: number; frames: readonly SeenFrame[] }) => {
    if (message.type !== 'mapped') return;
    waiting.get(message.id)?.(message.frames);
    waiting.delete(message.id);
  });
  const askThread: Mapper = (frames) => {
    const id = ++lastId;
    return new Promise((resolve) => {
      const late = setTimeout(() => resolve(frames), mapperPatience).unref();
      waiting.set(id, (mapped) => {
        clearTimeout(late);
        resolve(mapped);
      });
      const order: ToThread = { type: 'map', id, frames };
      thread.postMessage(order);
    });
  };
  return async (frames) => (process.sourceMapsEnabled ? frames.map(byNode) : askThread(frames));
}

function byNode(frame: SeenFrame): SeenFrame {
  const { file, line, column } = frame;
  if (file === null || line === null || column === null) return frame;
  const map = findSourceMap(file) ?? findSourceMap(scriptPath(file));
  const entry = map?.findEntry(line - 1, column - 1);
  if (entry === undefined || !('originalSource' in entry)) return frame;
  return {
    ...frame,
    file: entry.originalSource,
    line: entry.originalLine + 1,
    column: entry.originalColumn + 1,
  };
}

/** Long pauses of the garbage collector: when each began, ms of process.hrtime(), and how long it took. */
function watchPauses(): () => readonly (readonly [start: Millis, duration: Millis])[] {
  const offset = hrtime() - performance.now();
  const pauses: (readonly [Millis, Millis])[] = [];
  new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) {
      if (duration < longPause) continue;
      pauses.push([startTime + offset, duration]);
      if (pauses.length > keptPauses) pauses.shift();
    }
  }).observe({ entryTypes: ['gc'] });
  return () => pauses;
}

/** Shows the thread the stack of the main thread: it calls this in the middle of what the app does. */
function offerLook(
  process: object,
  { url, current }: { url: typeof inspectorUrl; current: () => readonly RequestNote[] },
): void {
  const value = () => (url() === undefined ? { frames: ownStack(), requests: current() } : null);
  Object.defineProperty(process, Symbol.for(lookSymbol), { value, configurable: true });
}

function ownStack(): readonly SeenFrame[] {
  const { stackTraceLimit, prepareStackTrace } = Error;
  try {
    Error.stackTraceLimit = mostFrames + ownFrames;
    Error.prepareStackTrace = (_error, sites) => sites;
    const holder: { stack?: readonly NodeJS.CallSite[] } = {};
    Error.captureStackTrace(holder);
    return (holder.stack ?? []).slice(ownFrames).flatMap(asFrame);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    if (prepareStackTrace === undefined) Reflect.deleteProperty(Error, 'prepareStackTrace');
    else Error.prepareStackTrace = prepareStackTrace;
  }
}

/** This function, the one that calls it, and the expression that calls that. */
const ownFrames = 3;

/** Functions that wait (`await`) are not on the stack, though V8 lists them. */
function asFrame(site: NodeJS.CallSite): SeenFrame[] {
  if ((site as { isAsync?: () => boolean }).isAsync?.() === true) return [];
  return [
    {
      function: site.getFunctionName(),
      file: site.getFileName() ?? null,
      line: site.getLineNumber(),
      column: site.getColumnNumber(),
    },
  ];
}

function round(ms: Millis): Millis {
  return Math.round(ms * 10) / 10;
}
