import type { Duplex } from 'node:stream';
import { createLineReader } from '../../control/line-reader.js';
import type { Frame, Question, Testimony } from '../../protocol/capture.js';

/** The thread of a worker that says where its main thread is. */
export interface Witness {
  /** null where it does not answer within so many ms. Never rejects. */
  ask(within: number): Promise<Testimony | null>;
}

/** @param pipe to the worker; null where the process could not be started */
export function createWitness(pipe: Duplex | null | undefined): Witness {
  const waiting = new Map<number, (testimony: Testimony | null) => void>();
  let lastId = 0;
  const settle = (id: number, testimony: Testimony | null): void => {
    waiting.get(id)?.(testimony);
    waiting.delete(id);
  };
  pipe?.setEncoding('utf8');
  // The exit of a worker is reported elsewhere.
  pipe?.on('error', () => {});
  const read = createLineReader((line) => {
    const answer = parse(line);
    if (answer !== null) settle(answer.id, answer.testimony);
  }, longestLine);
  pipe?.on('data', read);
  if (pipe !== null && pipe !== undefined && 'unref' in pipe) (pipe as { unref(): void }).unref();
  return {
    ask: (within) => {
      if (pipe === null || pipe === undefined || !pipe.writable) return Promise.resolve(null);
      const question: Question = { id: ++lastId, within };
      return new Promise((resolve) => {
        // A little longer than the thread's own limit.
        const timer = setTimeout(() => settle(question.id, null), within * 1.1);
        waiting.set(question.id, (testimony) => {
          clearTimeout(timer);
          resolve(testimony);
        });
        pipe.write(`${JSON.stringify(question)}\n`);
      });
    },
  };
}

/** Characters. The app shares the worker's descriptors, and may write anything. */
const longestLine = 1_000_000;

interface Answer {
  readonly id: number;
  readonly testimony: Testimony;
}

function parse(line: string): Answer | null {
  try {
    const answer = JSON.parse(line) as Partial<Answer['testimony']> & Record<string, unknown>;
    const { id } = answer;
    return typeof id === 'number' && isTestimony(answer) ? { id, testimony: answer } : null;
  } catch {
    return null;
  }
}

function isTestimony(answer: Record<string, unknown>): answer is Testimony & Record<string, unknown> {
  switch (answer.state) {
    case 'paused':
      return Array.isArray(answer.frames) && answer.frames.every(isFrame);
    case 'failed':
      return typeof answer.why === 'string';
    default:
      return answer.state === 'idle' || answer.state === 'silent';
  }
}

function isFrame(value: unknown): value is Frame {
  const { functionName, url, location } = (value ?? {}) as Record<string, unknown>;
  const { scriptId, lineNumber, columnNumber = 0 } = (location ?? {}) as Record<string, unknown>;
  return (
    [functionName, url, scriptId].every((text) => typeof text === 'string') &&
    Number.isFinite(lineNumber) &&
    Number.isFinite(columnNumber)
  );
}
