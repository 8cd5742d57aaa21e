import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { explainFailure, notRomAgent, pathTooLong, refused, tooLate, wentAway } from './client-errors.js';
import { createLineReader } from './line-reader.js';
import { apiVersion, heartbeatInterval, jsonType, longestSocketPath, versionHeader } from './protocol.js';

export interface Call {
  readonly method: 'GET' | 'POST';
  /** Below the version, without a slash in front. */
  readonly route: string;
  /** Sent as JSON; null sends nothing. */
  readonly body: unknown;
  /** How long its answer may take, ms; as the caller has it unless given. */
  readonly timeout?: number;
}

export interface StreamCall extends Call {
  readonly signal?: AbortSignal | undefined;
  /** What it throws ends the stream. */
  readonly onLine: (value: unknown) => void;
}

/** One request a connection to one control socket. Rejects with a RomAgentError, whatever goes wrong. */
export interface Caller {
  readonly path: string;
  /** @returns the JSON of the answer */
  ask(call: Call): Promise<unknown>;
  /** Resolves at the end of the stream, or when `signal` is aborted. */
  stream(call: StreamCall): Promise<void>;
}

/** A stream that sends no sign of life for this long has hung, ms. */
const longestSilence = 3 * heartbeatInterval;

/** @param timeout ms, for an answer; of a stream, for its first line */
export function createCaller({ path, timeout }: { path: string; timeout: number }): Caller {
  const open = (call: Call, signal?: AbortSignal): Promise<IncomingMessage> =>
    answerTo(call, { path, timeout: call.timeout ?? timeout, signal });
  return {
    path,
    ask: async (call) => {
      const incoming = await open(call);
      return parse(await textOf(incoming, { path, timeout: call.timeout ?? timeout }), path);
    },
    stream: async ({ signal, onLine, ...call }) => {
      try {
        const incoming = await open(call, signal);
        await readLines(incoming, { path, onLine });
      } catch (error) {
        if (signal?.aborted !== true) throw error;
      }
    },
  };
}

interface Target {
  readonly path: string;
  readonly timeout: number;
  readonly signal?: AbortSignal | undefined;
}

/** Resolves with the headers of an answer that is a success. */
async function answerTo(call: Call, target: Target): Promise<IncomingMessage> {
  const { path } = target;
  // libuv cuts a longer path off, and another socket would be asked.
  if (Buffer.byteLength(path) > longestSocketPath) throw pathTooLong(path, longestSocketPath);
  const incoming = await firstAnswer(send(call, target), target);
  const version = incoming.headers[versionHeader.toLowerCase()];
  if (version !== apiVersion) {
    incoming.destroy();
    throw notRomAgent(path, version === undefined ? 'another answer' : `version ${version} of the answers`);
  }
  const { statusCode = 0 } = incoming;
  if (statusCode >= 200 && statusCode < 300) return incoming;
  throw refused(statusCode, messageIn(await textOf(incoming, target)));
}

function send({ method, route, body }: Call, { path, signal }: Target): ClientRequest {
  const bytes = body === null ? '' : JSON.stringify(body);
  const headers =
    body === null ? {} : { 'Content-Type': jsonType, 'Content-Length': Buffer.byteLength(bytes) };
  const outgoing = request({
    socketPath: path,
    path: `/${apiVersion}/${route}`,
    method,
    headers: { Host: 'localhost', ...headers },
    agent: false,
    ...(signal === undefined ? {} : { signal }),
  });
  outgoing.end(bytes);
  return outgoing;
}

function firstAnswer(outgoing: ClientRequest, { path, timeout }: Target): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => outgoing.destroy(tooLate(path, timeout)), timeout);
    outgoing.once('close', () => clearTimeout(timer));
    outgoing.on('error', (error) => reject(explainFailure(error, path)));
    outgoing.once('response', (incoming) => {
      clearTimeout(timer);
      resolve(incoming);
    });
  });
}

function textOf(incoming: IncomingMessage, { path, timeout }: Target): Promise<string> {
  let text = '';
  const limit = setTimeout(() => incoming.destroy(tooLate(path, timeout)), timeout);
  const collect = (chunk: string): void => {
    text += chunk;
  };
  return ending(incoming, { path, onData: collect })
    .then(() => text)
    .finally(() => clearTimeout(limit));
}

async function readLines(
  incoming: IncomingMessage,
  { path, onLine }: { path: string; onLine: (value: unknown) => void },
): Promise<void> {
  const read = createLineReader((line) => onLine(parse(line, path)));
  const silence = setTimeout(() => incoming.destroy(tooLate(path, longestSilence)), longestSilence);
  const onData = (chunk: string): void => {
    silence.refresh();
    read(chunk);
  };
  await ending(incoming, { path, onData }).finally(() => clearTimeout(silence));
}

/** Resolves at the end of the body; what `onData` throws is passed on as it is. */
function ending(
  incoming: IncomingMessage,
  { path, onData }: { path: string; onData: (chunk: string) => void },
): Promise<void> {
  return new Promise((resolve, reject) => {
    incoming.setEncoding('utf8');
    incoming.on('data', (chunk: string) => {
      try {
        onData(chunk);
      } catch (error) {
        reject(error);
        incoming.destroy();
      }
    });
    incoming.once('end', resolve);
    incoming.on('error', (error) => reject(explainFailure(error, path)));
    incoming.once('close', () => reject(wentAway(path)));
  });
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw notRomAgent(path, 'an answer that is not JSON', cause);
  }
}

function messageIn(text: string): string | null {
  try {
    const { error } = JSON.parse(text) as { error?: { message?: unknown } };
    return typeof error?.message === 'string' ? error.message : null;
  } catch {
    return null;
  }
}
