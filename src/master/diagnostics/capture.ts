import { type Capture, scriptPath, type Testimony } from '../../protocol/capture.js';
import type { RequestNote } from '../../protocol/requests.js';
import { isStarved, type Look, type LookSeam, lookAt, systemLooks, waitsFor } from './process-look.js';
import type { Witness } from './witness.js';

export interface CaptureOptions {
  readonly pid: number;
  /** How long the capture may take, ms. */
  readonly timeout: number;
  /** Where this program's own files are, as a URL that ends in a slash. */
  readonly own: string;
  /** Whether the full command lines of its children are told, or only the names of their programs. */
  readonly commandLines: boolean;
  /** Its thread that says where the main thread is; null: it has none. */
  readonly witness: Witness | null;
}

/**
 * Finds out what a process does: from outside, and by asking a thread in it, which can pause the main thread even while
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
  if (first === null) return unknown('the process has exited, or this user may not look at it');
  if (isStopped(first)) return { ...nothing, state: 'stopped' };
  const outside = (why: string, asked: boolean) => fromOutside(options, { first, seam, why, asked });
  if (witness === null) return outside('captures are off (health.capture)', false);
  const testimony = await witness.ask(Math.ceil(timeout * share));
  if (testimony === null) return outside('its diagnostics thread does not answer', false);
  if (testimony.state === 'failed') return outside(testimony.why, false);
  if (testimony.state === 'silent') return outside('its main thread does not answer', true);
  const last = await lookAt(pid, seam);
  return believed(testimony, { own: options.own, starved: isStarved(first, last ?? first) });
}

/** How much of the time the thread gets; the rest is for a look from outside. */
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

/** The app runs in the same process, and may have changed anything there. */
function requestsOf(value: unknown): readonly RequestNote[] | null {
  return Array.isArray(value) && value.every(isNote) ? value : null;
}

function isNote(value: unknown): value is RequestNote {
  if (typeof value !== 'object' || value === null) return false;
  const { method, path, ageMs } = value as Record<string, unknown>;
  return typeof method === 'string' && typeof path === 'string' && typeof ageMs === 'number';
}

/** What is known of a process whose thread gave no answer. */
interface Outside {
  readonly first: Look;
  readonly seam: LookSeam;
  /** Why there is no answer. */
  readonly why: string;
  /** Whether it was asked: an idle process would have answered. */
  readonly asked: boolean;
}

async function fromOutside(
  { pid, commandLines }: CaptureOptions,
  { first, seam, why, asked }: Outside,
): Promise<Capture> {
  const last = await lookAt(pid, seam);
  if (last === null) return unknown('the process exited meanwhile');
  if (isStopped(last)) return { ...nothing, state: 'stopped' };
  if (isStarved(first, last)) return { ...nothing, state: 'starved' };
  if (last.state === 'R') return { ...nothing, state: 'running', detail: `no stack: ${why}` };
  if (last.state === 'D' || (last.state === 'S' && asked)) {
    return { ...nothing, state: 'blocked', detail: waitsFor(pid, seam, commandLines) };
  }
  return unknown(why);
}

/** Stopped by a signal, or by a debugger. */
function isStopped({ state }: Look): boolean {
  return state === 'T' || state === 't';
}

/** A frame as Debugger.paused has it: lines and columns count from 0, and the URL is that of its script. */
export interface CallFrame {
  readonly functionName: string;
  readonly location: {
    readonly scriptId: string;
    readonly lineNumber: number;
    readonly columnNumber?: number;
  };
}

export interface Stack {
  /** As in an Error's `stack`, without its first line. */
  readonly stack: string;
  /** The innermost frame that is the app's. */
  readonly at: string | null;
}

/** Frames beyond these are left out. */
const mostFrames = 30;

/** @param own where this program's own files are, as a URL that ends in a slash */
export function formatStack(
  frames: readonly CallFrame[],
  { urls, own }: { urls: ReadonlyMap<string, string>; own: string },
): Stack {
  const named = frames.map((frame) => {
    const url = urls.get(frame.location.scriptId) ?? '';
    return { url, text: describe(frame, url) };
  });
  const foreign = named.filter(({ url }) => !url.startsWith('node:'));
  const at = foreign.find(({ url }) => !url.startsWith(own)) ?? foreign[0];
  const left = named.length - mostFrames;
  const lines = named.slice(0, mostFrames).map(({ text }) => `    at ${text}`);
  return {
    stack: [...lines, ...(left > 0 ? [`    ... ${left} more`] : [])].join('\n'),
    at: at?.text ?? null,
  };
}

/** `checkout (/srv/app/server.js:12:5)`; of a function without a name `/srv/app/server.js:12:5` */
function describe({ functionName, location }: CallFrame, url: string): string {
  const { lineNumber, columnNumber = 0 } = location;
  const place = `${url === '' ? '<anonymous>' : scriptPath(url)}:${lineNumber + 1}:${columnNumber + 1}`;
  return functionName === '' ? place : `${functionName} (${place})`;
}
