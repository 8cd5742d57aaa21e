import { setTimeout as sleep } from 'node:timers/promises';
import type { RequestNote } from '../../core/evidence.js';
import type { Inspector, Reply } from './inspector.js';
import { type CallFrame, formatStack } from './stack.js';

/** What a process says of itself. */
export interface Testimony {
  /** Whether JavaScript ran; its stack is null otherwise. */
  readonly paused: boolean;
  readonly stack: string | null;
  readonly at: string | null;
  /** In flight; null where it does not say. */
  readonly requests: readonly RequestNote[] | null;
}

export interface InterrogateOptions {
  /** Where this program's own files are, as a URL that ends in a slash. */
  readonly own: string;
  /** Whether the process sleeps at this moment. */
  readonly sleeps: () => Promise<boolean>;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** It answers, so that it does not hang in a call, but not to the end. */
export class TooLate extends Error {}

/**
 * Pauses it wherever it is, looks, and has it go on. Rejects when the connection ends; with TooLate where it had begun
 * to answer.
 */
export async function interrogate(
  inspector: Inspector,
  { own, sleeps, signal }: InterrogateOptions,
): Promise<Testimony> {
  const urls = new Map<string, string>();
  inspector.on('Debugger.scriptParsed', ({ scriptId, url }) => urls.set(String(scriptId), String(url)));
  const paused = new Promise<readonly CallFrame[]>((resolve) => {
    inspector.on('Debugger.paused', ({ callFrames }) => resolve(callFrames as readonly CallFrame[]));
  });
  await Promise.all([inspector.call('Debugger.enable'), inspector.call('Debugger.pause')]);
  try {
    // Its event loop turns, then; if it sleeps on, it has nothing to do.
    const frames = await unlessAsleep(paused, { sleeps, signal });
    // Not to be paused by the question itself, nor by what it does next.
    if (frames === null) await inspector.call('Debugger.disable');
    const requests = await askRequests(inspector);
    if (frames === null) return { paused: false, stack: null, at: null, requests };
    await inspector.call('Debugger.resume');
    return { paused: true, ...formatStack(frames, { urls, own }), requests };
  } catch (cause) {
    throw new TooLate('it answered too late', { cause });
  }
}

type Asleep = Pick<InterrogateOptions, 'sleeps' | 'signal'>;

/** null where the process is seen to sleep first. */
async function unlessAsleep<Value>(value: Promise<Value>, { sleeps, signal }: Asleep): Promise<Value | null> {
  const over = new AbortController();
  try {
    return await Promise.race([value, asleep(sleeps, AbortSignal.any([signal, over.signal]))]);
  } finally {
    over.abort();
  }
}

/** Looks in a row at which it slept, and ms between them. */
const looks = 5;
const interval = 10;

async function asleep(sleeps: () => Promise<boolean>, ended: AbortSignal): Promise<null> {
  for (let inARow = 0; inARow < looks; ) {
    await sleep(interval);
    if (ended.aborted) throw new Error('it did not pause');
    inARow = (await sleeps()) ? inARow + 1 : 0;
  }
  return null;
}

/** What the worker tells of itself: see src/worker. */
const question = "globalThis.process?.[Symbol.for('rom-agent.inFlight')]?.()";

async function askRequests(inspector: Inspector): Promise<readonly RequestNote[] | null> {
  const { result } = await inspector.call('Runtime.evaluate', {
    expression: question,
    returnByValue: true,
    silent: true,
  });
  const { value } = (result ?? {}) as Reply;
  const { requests } = (value ?? {}) as Reply;
  return Array.isArray(requests) && requests.every(isNote) ? requests : null;
}

/** The app runs in the same process, and may have put anything there. */
function isNote(value: unknown): value is RequestNote {
  if (typeof value !== 'object' || value === null) return false;
  const { method, path, age } = value as Record<string, unknown>;
  return typeof method === 'string' && typeof path === 'string' && typeof age === 'number';
}
