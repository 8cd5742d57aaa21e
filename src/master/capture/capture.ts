import { setTimeout as sleep } from 'node:timers/promises';
import type { Capture } from '../../core/evidence.js';
import { deferred } from '../once.js';
import { connectInspector, loadWebSocket } from './inspector.js';
import { type Address, CannotLook, inspectorAt, watchListeners } from './inspector-port.js';
import { interrogate, type Testimony, TooLate } from './interrogate.js';
import {
  catchesSigusr1,
  isStarved,
  type Look,
  type LookSeam,
  lookAt,
  systemLooks,
  waitsFor,
} from './process-look.js';

export interface CaptureOptions {
  readonly pid: number;
  /** ms within which it is over, whatever it has found by then. */
  readonly timeout: number;
  /** Where this program's own files are, as a URL that ends in a slash. */
  readonly own: string;
  /** Whether command lines of its children are told, and not only the names of their programs. */
  readonly commandLines: boolean;
  /** Called once, when no connection to its inspector is left: perhaps later than the capture is there. */
  readonly onDisconnected: () => void;
}

/**
 * Finds out what a process does, from outside. SIGUSR1 has Node open its inspector even while JavaScript spins, on a
 * free port of the loopback; there it is paused, asked for its stack, and goes on. Never rejects.
 */
export async function capture(options: CaptureOptions, seam: LookSeam = systemLooks): Promise<Capture> {
  const connection = { made: false };
  try {
    return await look(options, { seam, connection });
  } catch (error) {
    return unknown(sentence(error));
  } finally {
    if (!connection.made) options.onDisconnected();
  }
}

interface Means {
  readonly seam: LookSeam;
  /** Who has made one has it end the capture. */
  readonly connection: { made: boolean };
}

async function look(options: CaptureOptions, means: Means): Promise<Capture> {
  const { seam } = means;
  const { pid, timeout, commandLines } = options;
  const first = await lookAt(pid, seam);
  if (first === null) return unknown('the process is gone, or cannot be seen');
  if (isStopped(first)) return { ...nothing, state: 'stopped' };
  if (!catchesSigusr1(pid, seam))
    return fromOutside(pid, { first, seam, commandLines, why: 'it has no inspector', asked: false });
  try {
    const signal = AbortSignal.timeout(Math.ceil(timeout * share));
    return await fromWithin(options, { ...means, first, signal });
  } catch (error) {
    return fromOutside(pid, { first, seam, commandLines, why: sentence(error), asked: isSilence(error) });
  }
}

async function fromWithin(
  { pid, own, onDisconnected }: CaptureOptions,
  { first, seam, connection, signal }: Means & { first: Look; signal: AbortSignal },
): Promise<Capture> {
  loadWebSocket().catch(() => {});
  process.kill(pid, 'SIGUSR1');
  const url = await inspectorOf(pid, { signal, platform: seam.platform });
  connection.made = true;
  const inspector = await connectInspector({ url, signal, onDisconnected });
  try {
    const last = await lookAt(pid, seam);
    const testimony = await interrogate(inspector, { own, sleeps: () => sleeps(pid, seam), signal });
    return believed(testimony, isStarved(first, last ?? first));
  } finally {
    inspector.close();
  }
}

/** The rest is for what has to be said afterwards. */
const share = 0.8;
/** ms between two looks for the port, first and longest */
const interval = 5;
const longestInterval = 50;

const nothing = { stack: null, at: null, requests: null, detail: null } as const;

function unknown(detail: string): Capture {
  return { ...nothing, state: 'unknown', detail };
}

/** Neither did it answer, nor was there nobody to ask. */
function isSilence(error: unknown): boolean {
  return !(error instanceof CannotLook || error instanceof TooLate);
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function believed({ paused, stack, at, requests }: Testimony, starved: boolean): Capture {
  const state = starved ? 'starved' : paused ? 'running' : 'idle';
  return { state, stack, at, requests, detail: null };
}

/** What is known of a process whose inspector does not answer. */
interface Outside {
  readonly first: Look;
  readonly seam: LookSeam;
  readonly commandLines: boolean;
  /** Why it could not be asked itself. */
  readonly why: string;
  /** Whether a process that sleeps and has nothing to do would have answered. */
  readonly asked: boolean;
}

async function fromOutside(
  pid: number,
  { first, seam, commandLines, why, asked }: Outside,
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

async function sleeps(pid: number, seam: LookSeam): Promise<boolean> {
  return (await lookAt(pid, seam))?.state === 'S';
}

/** One that listens already, as with --inspect, is asked as it is. Others that it listens on may never answer. */
async function inspectorOf(
  pid: number,
  { signal, platform }: { signal: AbortSignal; platform: NodeJS.Platform },
): Promise<string> {
  const newListeners = watchListeners(pid, { platform });
  const found = deferred<string>();
  const ask = async (address: Address): Promise<void> => {
    const url = await inspectorAt(address, signal);
    if (url !== null) found.resolve(url);
  };
  for (let pause = interval; !signal.aborted; pause = Math.min(pause * 2, longestInterval)) {
    for (const address of await newListeners()) void ask(address);
    const url = await Promise.race([found.promise, sleep(pause, null)]);
    if (url !== null) return url;
  }
  throw new Error('its inspector does not open');
}
