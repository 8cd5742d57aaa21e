import type { IncomingMessage, ServerResponse } from 'node:http';
import type {
  Answer,
  Commands,
  ControlEvent,
  EvidenceAnswer,
  ReloadAnswer,
  StackAnswer,
} from '../protocol/control-api.js';
import { ControlError, sendJson } from './answers.js';
import { readBody } from './body.js';
import { byOf, profileOptions, reloadOptions, scaleOptions, workerNumber } from './fields.js';
import { type LineStream, openLineStream } from './line-stream.js';
import { openapi } from './openapi.js';
import { jsonType, linesType } from './protocol.js';

/** What a route answers from. */
export interface Question {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly commands: Commands;
  readonly version: string;
  /** What stands in the place of `{id}`. */
  readonly id: string;
  /** Streams that are open, for the end of the server. */
  readonly streams: Set<LineStream>;
}

export interface Route {
  readonly method: 'GET' | 'POST';
  /** `{id}` stands for a segment. */
  readonly path: string;
  readonly type: typeof jsonType | typeof linesType;
  /** Throws ControlError for answers other than success. */
  readonly answer: (question: Question) => void | Promise<void>;
}

export const routes: readonly Route[] = [
  get('/v1', ({ response, version }) => sendJson(response, 200, overview(version))),
  get('/v1/status', ({ response, commands }) => sendJson(response, 200, commands.status())),
  get('/v1/config', ({ response, commands }) => sendJson(response, 200, commands.config())),
  get('/v1/history', ({ response, commands }) => sendJson(response, 200, commands.history())),
  get('/v1/openapi.json', ({ response, version }) => sendJson(response, 200, openapi(version))),
  { method: 'GET', path: '/v1/events', type: linesType, answer: streamEvents },
  { method: 'POST', path: '/v1/reload', type: linesType, answer: reload },
  post('/v1/abort', async ({ request, commands }) => commands.abort(byOf(await readBody(request)))),
  post('/v1/scale', async ({ request, commands }) => {
    const { change, by } = scaleOptions(await readBody(request));
    return commands.scale(change, by);
  }),
  post('/v1/workers/{id}/restart', async ({ request, commands, id }) => {
    const worker = workerNumber(id);
    return commands.restart(worker, byOf(await readBody(request)));
  }),
  piece('stack', async ({ request, commands, id }) => {
    const worker = workerNumber(id);
    return commands.stack(worker, byOf(await readBody(request)));
  }),
  piece('profile', async ({ request, commands, id }) => {
    const worker = workerNumber(id);
    const { seconds, by } = profileOptions(await readBody(request));
    return commands.profile(worker, seconds, by);
  }),
  piece('heap-snapshot', async ({ request, commands, id }) => {
    const worker = workerNumber(id);
    return commands.heapSnapshot(worker, byOf(await readBody(request)));
  }),
  { method: 'POST', path: '/v1/stop', type: jsonType, answer: stop },
];

function get(path: string, answer: Route['answer']): Route {
  return { method: 'GET', path, type: jsonType, answer };
}

function post(path: string, ask: (question: Question) => Promise<Answer>): Route {
  const answer = async (question: Question): Promise<void> => {
    const { message } = accepted(await ask(question));
    sendJson(question.response, 200, { message });
  };
  return { method: 'POST', path, type: jsonType, answer };
}

/** Evidence about a worker. It may take minutes, in which nothing moves on the connection. */
function piece(name: string, ask: (question: Question) => Promise<StackAnswer | EvidenceAnswer>): Route {
  const answer = async (question: Question): Promise<void> => {
    question.request.socket.setTimeout(0);
    const { accepted: _, ...found } = accepted(await ask(question));
    sendJson(question.response, 200, found);
  };
  return { method: 'POST', path: `/v1/workers/{id}/${name}`, type: jsonType, answer };
}

function overview(version: string) {
  const list = routes.map(({ method, path }) => ({ method, path }));
  return { name: 'rom-agent', version, pid: process.pid, routes: list };
}

async function stop({ request, response, commands }: Question): Promise<void> {
  commands.stop(byOf(await readBody(request)));
  sendJson(response, 202, { message: 'the service is stopping' });
}

function streamEvents({ request, response, commands, streams }: Question): void {
  const stream = openStream(response, streams);
  if (request.method === 'HEAD') stream.end();
  else stream.onOver(commands.subscribe((event) => stream.write(event)));
}

/** Goes on until the verdict; a client that goes away ends the stream and not the reload. */
async function reload({ request, response, commands, streams }: Question): Promise<void> {
  const options = reloadOptions(await readBody(request));
  // Its first steps come before its answer.
  const early: ControlEvent[] = [];
  let pass = (event: ControlEvent): void => {
    early.push(event);
  };
  const unsubscribe = commands.subscribe((event) => pass(event));
  try {
    const answer = accepted(await commands.reload(options));
    const stream = openStream(response, streams);
    stream.onOver(unsubscribe);
    stream.write({ type: 'answer', ...answer });
    pass = (event) => passStep(event, { stream, generation: answer.generation });
    for (const event of early.splice(0)) pass(event);
  } catch (error) {
    unsubscribe();
    throw error;
  }
}

function passStep(
  event: ControlEvent,
  { stream, generation }: { stream: LineStream; generation: number },
): void {
  if (event.type === 'step' && event.generation === generation) stream.write(event);
  if (event.type !== 'record' || event.record.generation !== generation) return;
  stream.write(event);
  if (event.record.verdict !== null) stream.end();
}

function openStream(response: ServerResponse, streams: Set<LineStream>): LineStream {
  const stream = openLineStream(response);
  streams.add(stream);
  stream.onOver(() => streams.delete(stream));
  return stream;
}

function accepted<A extends Answer | ReloadAnswer | StackAnswer | EvidenceAnswer>(
  answer: A,
): Extract<A, { accepted: true }> {
  if (!answer.accepted) throw new ControlError(409, answer.reason);
  return answer as Extract<A, { accepted: true }>;
}
