import type { Millis } from '../../protocol/limits.js';
import type { Stall } from '../../protocol/stall.js';

/** A frame of the main thread's stack. Lines and columns count from 1. */
export interface SeenFrame {
  readonly function: string | null;
  /** Path or URL, as V8 has it; null: code without a file. */
  readonly file: string | null;
  readonly line: number | null;
  readonly column: number | null;
  /** Its function has only just been entered: what took so long came before it. */
  readonly entered?: boolean;
}

/** What the main thread was found doing while it was blocked. */
export interface StackLook {
  /**
   * It answered only when a call of native code returned: V8 shows a stack at function entries and at the ends of
   * loops, so the frames are those of shortly after the call.
   */
  readonly late: boolean;
  /** Innermost first. */
  readonly frames: readonly SeenFrame[];
}

/** The function in which the time went, and in what share of the looks. */
export interface Blame {
  readonly frame: SeenFrame;
  readonly exact: boolean;
  readonly share: number;
  /** Of the newest look that found it. */
  readonly stack: readonly SeenFrame[];
}

/** A function that most looks found is to blame rather than a deeper one that few did. */
const majority = 0.5;

/**
 * Names the deepest function of the app that at least half of the looks found; if there is none, the one that most of
 * them found. Null where no look found one. `own`: only functions of this program ran, which takes its own time, as
 * for a heap snapshot.
 */
export function blame(looks: readonly StackLook[], isOwn: (file: string) => boolean): Blame | 'own' | null {
  const suspects = looks.map((look) => suspectsOf(look, isOwn));
  if (looks.some(({ frames }) => frames.some(({ file }) => file !== null && isOwn(file)))) {
    if (suspects.every(({ frames }) => frames.length === 0)) return 'own';
  }
  const counts = new Map<string, number>();
  for (const { frames } of suspects) {
    for (const name of new Set(frames.map(nameOf))) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const most = Math.max(0, ...counts.values());
  if (most === 0) return null;
  const enough = Math.min(most, Math.ceil(looks.length * majority));
  const isCommon = (frame: SeenFrame): boolean => (counts.get(nameOf(frame)) ?? 0) >= enough;
  // The deepest as its stack has it, counted from the outermost frame; of several the one seen last.
  let chosen: SeenFrame | undefined;
  let deepest = 0;
  for (const { frames } of suspects) {
    const place = frames.findIndex(isCommon);
    if (place === -1 || frames.length - place < deepest) continue;
    deepest = frames.length - place;
    chosen = frames[place];
  }
  if (chosen === undefined) return null;
  const name = nameOf(chosen);
  const found = suspects.flatMap(({ frames, exact }) => {
    const frame = frames.find((each) => nameOf(each) === name);
    // A function further in that other looks found is a part of the time of this one.
    return frame === undefined ? [] : [{ frame, exact }];
  });
  const newest = suspects.findLastIndex(({ frames }) => frames.some((frame) => nameOf(frame) === name));
  return {
    frame: commonest(found.map(({ frame }) => frame)),
    exact: found.some(({ exact }) => exact),
    share: found.length / looks.length,
    stack: looks[newest]?.frames ?? [],
  };
}

interface Suspects {
  /** The app's, innermost first. */
  readonly frames: readonly SeenFrame[];
  readonly exact: boolean;
}

function suspectsOf({ late, frames }: StackLook, isOwn: (file: string) => boolean): Suspects {
  const first = late ? frames.findIndex((frame) => !isNodes(frame) && frame.entered !== true) : 0;
  const before = first === -1 ? frames : frames.slice(0, first);
  return {
    frames: (first === -1 ? [] : frames.slice(first)).filter(
      (frame) => frame.file !== null && !isNodes(frame) && !isOwn(frame.file),
    ),
    // Node's functions for calls that block run JavaScript after the call.
    exact: !late || before.some((frame) => isNodes(frame) && frame.function?.endsWith('Sync') === true),
  };
}

function isNodes({ file }: SeenFrame): boolean {
  return file === null || file.startsWith('node:');
}

function nameOf({ function: name, file, line }: SeenFrame): string {
  // Functions without a name are told apart by where they are.
  return `${name ?? `line ${line}`}\0${file}`;
}

/** The frame whose line comes up most often. */
function commonest(frames: readonly SeenFrame[]): SeenFrame {
  const counts = new Map<number | null, number>();
  for (const { line } of frames) counts.set(line, (counts.get(line) ?? 0) + 1);
  const [first] = frames;
  if (first === undefined) throw new Error('there is no frame to choose from');
  return frames.reduce(
    (best, frame) => ((counts.get(frame.line) ?? 0) > (counts.get(best.line) ?? 0) ? frame : best),
    first,
  );
}

interface Times {
  readonly tookMs: Millis;
  readonly gcMs: Millis;
  readonly notRunMs: Millis;
}

/**
 * `starved` and `gc` where it would not have been a stall without the one or the other. The pauses of the garbage
 * collector must also be most of it: an app that parses a large text makes some garbage, too.
 */
export function causeOf({ tookMs, gcMs, notRunMs }: Times, threshold: Millis): Stall['cause'] {
  const ran = tookMs - notRunMs;
  if (ran < threshold) return 'starved';
  return ran - gcMs < threshold && gcMs > tookMs / 2 ? 'gc' : 'code';
}

/** How long pauses of `[start, duration]` overlap with a span of time, ms. */
export function overlap(
  pauses: readonly (readonly [start: Millis, duration: Millis])[],
  { from, to }: { from: Millis; to: Millis },
): Millis {
  return pauses.reduce(
    (sum, [start, duration]) => sum + Math.max(0, Math.min(to, start + duration) - Math.max(from, start)),
    0,
  );
}

/** Lets one report through per function and time; the others are counted. */
export interface Limiter {
  /** Null: not now. Otherwise how many were held back since the last one. */
  admit(name: string, now: Millis): number | null;
}

/** More functions than these are not told apart: the oldest is forgotten. */
const mostNames = 100;

export function createLimiter(every: Millis): Limiter {
  const last = new Map<string, { at: Millis; more: number }>();
  return {
    admit: (name, now) => {
      const before = last.get(name);
      if (before !== undefined && now - before.at < every) {
        before.more += 1;
        return null;
      }
      last.delete(name);
      last.set(name, { at: now, more: 0 });
      const [oldest] = last.keys();
      if (last.size > mostNames && oldest !== undefined) last.delete(oldest);
      return before?.more ?? 0;
    },
  };
}
