import type { Capture, Testimony } from '../../protocol/capture.js';
import type { RequestNote } from '../../protocol/requests.js';
import { isStarved, type Look, type LookSeam, lookAt, systemLooks, waitsFor } from './process-look.js';
import { formatStack } from './stack.js';
import type { Witness } from './witness.js';

export interface CaptureOptions {
  readonly pid: number;
  /** ms within which it is over, whatever it has found by then. */
  readonly timeout: number;
  /** Where this program's own files are, as a URL that ends in a slash. */
  readonly own: string;
  /** Whether command lines of its children are told, and not only the names of their programs. */
  readonly commandLines: boolean;
  /** Its thread that can be asked where it is; null: it has none. */
  readonly witness: Witness | null;
}

/**
 * Finds out what a process does: from outside, and by asking the thread in it that can look at its main thread even while
 * JavaScript spins there. Never rejects.
 */
export async function capture(options: CaptureOptions, seam: LookSeam = systemLooks): Promise<Capture> {
  try {
    return await look(options, seam);
  } catch (error) {
    return unknown(error instanceof Error ? error.message : String(error));
  }
}

async function look(options: CaptureOptions, seam: LookSeam): Promise<Capture> {
  const { pid, timeout, witness } = options;
  const first = await lookAt(pid, seam);
  if (first === null) return unknown('the process is gone, or cannot be seen');
  if (isStopped(first)) return { ...nothing, state: 'stopped' };
  const outside = (why: string, asked: boolean) => fromOutside(options, { first, seam, why, asked });
  if (witness === null) return outside('captures are off (health.capture)', false);
  const testimony = await witness.ask(Math.ceil(timeout * share));
  if (testimony === null) return outside('the thread that would tell does not answer', false);
  if (testimony.state === 'failed') return outside(testimony.why, false);
  if (testimony.state === 'silent') return outside('its main thread does not answer', true);
  const last = await lookAt(pid, seam);
  return believed(testimony, { own: options.own, starved: isStarved(first, last ?? first) });
}

/** The rest is for what has to be said afterwards. */
const share = 0.8;

const nothing = { stack: null, at: null, requests: null, detail: null } as const;

function unknown(detail: string): Capture {
  return { ...nothing, state: 'unknown', detail };
}

function believed(
  testimony: Extract<Testimony, { state: 'paused' | 'idle' }>,
  { own, starved }: { own: string; starved: boolean },
): Capture {
  const requests = requestsOf(testimony.requests);
  if (testimony.state === 'idle') return { ...nothing, state: starved ? 'starved' : 'idle', requests };
  const { frames } = testimony;
  const urls = new Map(frames.map(({ url, location }) => [location.scriptId, url]));
  return {
    ...nothing,
    state: starved ? 'starved' : 'running',
    ...formatStack(frames, { urls, own }),
    requests,
  };
}

/** The app runs in the same process, and may have put anything there. */
function requestsOf(value: unknown): readonly RequestNote[] | null {
  return Array.isArray(value) && value.every(isNote) ? value : null;
}

function isNote(value: unknown): value is RequestNote {
  if (typeof value !== 'object' || value === null) return false;
  const { method, path, age } = value as Record<string, unknown>;
  return typeof method === 'string' && typeof path === 'string' && typeof age === 'number';
}

/** What is known of a process that says nothing itself. */
interface Outside {
  readonly first: Look;
  readonly seam: LookSeam;
  /** Why it could not be asked itself. */
  readonly why: string;
  /** Whether a process that sleeps and has nothing to do would have answered. */
  readonly asked: boolean;
}

async function fromOutside(
  { pid, commandLines }: CaptureOptions,
  { first, seam, why, asked }: Outside,
): Promise<Capture> {
  const last = await lookAt(pid, seam);
  if (last === null) return unknown('the process ended meanwhile');
  if (isStopped(last)) return { ...nothing, state: 'stopped' };
  if (isStarved(first, last)) return { ...nothing, state: 'starved' };
  if (last.state === 'R') return { ...nothing, state: 'running', detail: `no stack: ${why}` };
  if (last.state === 'D' || (last.state === 'S' && asked)) {
    return { ...nothing, state: 'blocked', detail: waitsFor(pid, seam, commandLines) };
  }
  return unknown(why);
}

/** By a signal, or by a debugger. */
function isStopped({ state }: Look): boolean {
  return state === 'T' || state === 't';
}
