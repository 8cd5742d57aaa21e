import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { safeParse } from 'valibot';
import {
  type Answer,
  bytesType,
  type Commands,
  type ControlEvent,
  type EvidenceAnswer,
  type ReloadLine,
  type StackAnswer,
} from '../protocol/control-api.js';
import type { DeployAnswer, DeployLine } from '../protocol/deploy.js';
import type { LogsLine } from '../protocol/log-line.js';
import {
  badFields,
  ControlError,
  commonHeaders,
  type LineStream,
  openLineStream,
  sendJson,
  shown,
} from './answers.js';
import { fleetRoutes } from './fleet-routes.js';
import { type Body, type bodies, type queries, readFields, workerId } from './input-schemas.js';
import { jobRoutes } from './job-routes.js';
import { streamLines } from './line-streams.js';
import type { examples } from './openapi.js';
import { queueRoutes } from './queue-routes.js';
import { upgradeRoutes } from './upgrade-routes.js';

export type Fields = Readonly<Record<string, unknown>>;

/** What a route answers from. */
export interface Question {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Reads the body. */
  readonly fields: () => Promise<Fields>;
  readonly commands: Commands;
  readonly version: string;
  /** What stands in the place of `{id}` or `{name}`. */
  readonly id: string;
  /** The fields of the query, where the route takes one. */
  readonly query: Fields;
  /** The open streams, which end with the server. */
  readonly streams: Set<LineStream>;
}

/** One route, with what the OpenAPI document says about it. */
export interface Route {
  readonly method: 'GET' | 'POST';
  /** `{id}` and `{name}` stand for a segment. */
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  /** Names of schemas. */
  readonly takes: keyof typeof bodies | null;
  /** Name of the schema of its query; without: it takes none. */
  readonly query?: keyof typeof queries;
  readonly gives: keyof typeof examples | null;
  readonly status: 200 | 202;
  readonly isStream?: true;
  /** The answer is a file. */
  readonly isBytes?: true;
  /** Throws ControlError for answers other than success. */
  readonly answer: (question: Question) => void | Promise<void>;
}

type About = Pick<Route, 'operationId' | 'summary' | 'description'>;

export const routes: readonly Route[] = [
  get('/v1', 'Overview', {
    about: { operationId: 'overview', summary: 'The daemon and its routes' },
    ask: ({ version }) => overview(version),
  }),
  get('/v1/status', 'Status', {
    about: { operationId: 'status', summary: "The master's view of the service" },
    ask: ({ commands }) => commands.status(),
  }),
  get('/v1/config', 'Config', {
    about: { operationId: 'config', summary: 'The effective settings and where each comes from' },
    ask: ({ commands }) => commands.config(),
  }),
  get('/v1/history', 'History', {
    about: { operationId: 'history', summary: 'The last reloads' },
    ask: ({ commands }) => commands.history(),
  }),
  {
    ...get('/v1/why', 'Why', {
      about: {
        operationId: 'why',
        summary: 'What was decided, and from what cause',
        description: 'The record in the state directory, which outlives the daemon. Oldest first.',
      },
      ask: ({ query, commands }) => commands.why(readFields(query, 'WhyQuery')),
    }),
    query: 'WhyQuery',
  },
  get('/v1/metrics', 'Metrics', {
    about: {
      operationId: 'metrics',
      summary: 'What was counted, by the workers that are gone too',
      description: 'Asks the workers. Of one that does not answer within a second it is what it said last.',
    },
    ask: ({ commands }) => commands.metrics(),
  }),
  get('/v1/openapi.json', null, {
    about: { operationId: 'openapi', summary: 'This document' },
    ask: async ({ version }) => (await import('./openapi.js')).openapi(version, routes),
  }),
  get('/v1/evidence', 'EvidenceList', {
    about: { operationId: 'evidence', summary: 'The profiles and heap snapshots that were written' },
    ask: ({ commands }) => commands.evidenceFiles(),
  }),
  {
    ...{ method: 'GET', path: '/v1/evidence/{name}', operationId: 'evidenceFile' },
    summary: 'A profile or a heap snapshot',
    description: 'Everything in the memory of a worker is in a heap snapshot.',
    ...{ takes: null, gives: null, status: 200, isBytes: true },
    answer: sendEvidence,
  },
  {
    ...{ method: 'GET', path: '/v1/logs', operationId: 'logs', query: 'LogsQuery' },
    summary: "Where the log is, and the master's own lines as it writes them",
    description:
      'The first line says where the lines of workers and app are; they do not pass through the master. Its own last ' +
      'lines follow, as many as `lines` says, then those that it writes from then on, unless `follow` is `off`. The ' +
      'daemon sends a blank line every 15 s to show that it is alive.',
    ...{ takes: null, gives: 'LogsLine', status: 200, isStream: true },
    answer: streamLogs,
  },
  {
    ...{ method: 'GET', path: '/v1/events', operationId: 'events', summary: 'Events as they happen' },
    description: 'One event a line. The daemon sends a blank line every 15 s to show that it is alive.',
    ...{ takes: null, gives: 'Event', status: 200, isStream: true },
    answer: streamEvents,
  },
  {
    ...{ method: 'POST', path: '/v1/reload', operationId: 'reload' },
    summary: 'Replaces the workers with those of a new generation',
    description:
      'The first line is the answer, each step follows, and the last line is the record with the verdict. ' +
      'The daemon sends a blank line every 15 s to show that it is alive. A client that disconnects does not stop ' +
      'the reload.',
    ...{ takes: 'ReloadOptions', gives: 'ReloadLine', status: 200, isStream: true },
    answer: reload,
  },
  {
    ...{ method: 'POST', path: '/v1/deploy', operationId: 'deploy' },
    summary: 'Brings a new release into the service, or says whether it could',
    description:
      'The first line is the answer, each stage and the output of each command follow, and the last line is the record ' +
      'with the verdict; of a dry run, the plan. A client that disconnects does not stop the deploy.',
    ...{ takes: 'DeployOptions', gives: 'DeployLine', status: 200, isStream: true },
    answer: async (question) => {
      const options = readFields(await question.fields(), 'DeployOptions');
      await streamDeploy(question, (onLine) => question.commands.deploy(options, onLine));
    },
  },
  {
    ...{ method: 'POST', path: '/v1/rollback', operationId: 'rollback' },
    summary: 'Brings a release that is there into the service again',
    description: 'Answers as a deploy does.',
    ...{ takes: 'RollbackOptions', gives: 'DeployLine', status: 200, isStream: true },
    answer: async (question) => {
      const options = readFields(await question.fields(), 'RollbackOptions');
      await streamDeploy(question, (onLine) => question.commands.rollback(options, onLine));
    },
  },
  get('/v1/releases', 'Releases', {
    about: { operationId: 'releases', summary: 'The releases that are there, and the last deploys' },
    ask: async ({ commands }) => {
      const { accepted: _, ...found } = accepted(await commands.releases());
      return found;
    },
  }),
  ...fleetRoutes({
    get,
    accepted,
    openStream: ({ response, streams }) => openStream(response, streams),
  }),
  ...upgradeRoutes({ accepted, openStream: ({ response, streams }) => openStream(response, streams) }),
  ...queueRoutes({ get, post, accepted }),
  post('/v1/abort', 'Label', {
    about: { operationId: 'abort', summary: 'Rolls back the reload in progress' },
    ask: ({ by }, { commands }) => commands.abort(by),
  }),
  post('/v1/scale', 'ScaleOptions', {
    about: { operationId: 'scale', summary: 'Changes the number of workers' },
    ask: ({ by, ...change }, { commands }) => commands.scale(change, by),
  }),
  post('/v1/workers/{id}/restart', 'Label', {
    about: { operationId: 'restart', summary: 'Replaces one worker with another of its generation' },
    ask: ({ by }, { commands }, worker) => commands.restart(worker, by),
  }),
  evidence('stack', 'Label', {
    about: {
      operationId: 'stack',
      summary: 'What a worker is doing',
      description:
        'Pauses the worker for some milliseconds. If two workers share the slot, it is the newest that serves.',
    },
    gives: 'Stack',
    ask: ({ by }, { commands }, worker) => commands.stack(worker, by),
  }),
  evidence('profile', 'ProfileOptions', {
    about: {
      operationId: 'profile',
      summary: 'Writes a CPU profile of a worker',
      description:
        'Answers when the file is written, below `evidence` in the state directory, with mode 0600.',
    },
    gives: 'EvidenceFile',
    ask: ({ by, seconds }, { commands }, worker) => commands.profile(worker, seconds, by),
  }),
  evidence('heap-snapshot', 'Label', {
    about: {
      operationId: 'heapSnapshot',
      summary: 'Writes a heap snapshot of a worker',
      description:
        'The worker does nothing else in the meantime, which may be minutes, and takes about twice its memory. ' +
        'Everything in its memory is in the file, which has mode 0600.',
    },
    gives: 'EvidenceFile',
    ask: ({ by }, { commands }, worker) => commands.heapSnapshot(worker, by),
  }),
  {
    ...{ method: 'POST', path: '/v1/notify', operationId: 'notify' },
    summary: 'Tells everybody that [notify] names, as a test',
    description: 'Answers when each was told or was not, after up to 30 s.',
    ...{ takes: 'Label', gives: 'Notified', status: 200 },
    answer: async ({ request, response, fields, commands }) => {
      request.socket.setTimeout(0);
      const { results } = accepted(await commands.notify(readFields(await fields(), 'Label').by));
      sendJson(response, 200, { results });
    },
  },
  ...jobRoutes,
  {
    ...{ method: 'POST', path: '/v1/stop', operationId: 'stop' },
    summary: 'Stops the service: its workers drain and exit',
    ...{ takes: 'Label', gives: 'Message', status: 202 },
    answer: async ({ response, fields, commands }) => {
      commands.stop(readFields(await fields(), 'Label').by);
      sendJson(response, 202, { message: 'the service is stopping' });
    },
  },
];

interface Query {
  readonly about: About;
  readonly ask: (question: Question) => unknown;
}

function get(path: string, gives: Route['gives'], { about, ask }: Query): Route {
  const answer = async (question: Question): Promise<void> =>
    sendJson(question.response, 200, await ask(question));
  return { method: 'GET', path, ...about, takes: null, gives, status: 200, answer };
}

interface Command<Name extends keyof typeof bodies, A> {
  readonly about: About;
  readonly ask: (body: Body<Name>, question: Question, worker: number) => Promise<A>;
}

/** A command that is answered with one sentence. */
function post<Name extends keyof typeof bodies>(
  path: string,
  takes: Name,
  { about, ask }: Command<Name, Answer>,
): Route {
  const answer = async (question: Question): Promise<void> => {
    const { message } = accepted(await asked(question, takes, ask));
    sendJson(question.response, 200, { message });
  };
  return { method: 'POST', path, ...about, takes, gives: 'Message', status: 200, answer };
}

/** Evidence about a worker. It may take minutes, in which nothing moves on the connection. */
function evidence<Name extends keyof typeof bodies>(
  name: string,
  takes: Name,
  {
    about,
    gives,
    ask,
  }: Command<Name, StackAnswer | EvidenceAnswer> & { readonly gives: 'Stack' | 'EvidenceFile' },
): Route {
  const answer = async (question: Question): Promise<void> => {
    question.request.socket.setTimeout(0);
    const { accepted: _, ...found } = accepted(await asked(question, takes, ask));
    sendJson(question.response, 200, found);
  };
  return { method: 'POST', path: `/v1/workers/{id}/${name}`, ...about, takes, gives, status: 200, answer };
}

async function asked<Name extends keyof typeof bodies, A>(
  question: Question,
  takes: Name,
  ask: Command<Name, A>['ask'],
): Promise<A> {
  const worker = question.id === '' ? 0 : workerOf(question.id);
  return ask(readFields(await question.fields(), takes), question, worker);
}

/** @throws ControlError 400 if the text is not the number of a worker */
function workerOf(text: string): number {
  const value = /^[0-9]{1,5}$/.test(text) ? Number(text) : text;
  const result = safeParse(workerId, value);
  if (result.success) return result.output;
  throw badFields([{ field: 'id', value, expected: result.issues[0].message }]);
}

function overview(version: string) {
  const list = routes.map(({ method, path }) => ({ method, path }));
  return { name: 'rom-agent', version, pid: process.pid, routes: list };
}

function streamEvents({ request, response, commands, streams }: Question): void {
  const stream = openStream(response, streams);
  if (request.method === 'HEAD') stream.end();
  else stream.onOver(commands.subscribe((event) => stream.write(event)));
}

function streamLogs({ request, response, query, commands, streams }: Question): void {
  const { lines: most, follow } = readFields(query, 'LogsQuery');
  const stream = openStream(response, streams);
  const write = (line: LogsLine): void => stream.write(line);
  const { source, lines } = commands.logs();
  const last = most === 0 ? [] : lines.slice(-most);
  write({ type: 'source', source, lines: last.length });
  for (const line of last) write({ type: 'line', line });
  if (request.method === 'HEAD' || follow === 'off') stream.end();
  else stream.onOver(commands.followLog((line) => write({ type: 'line', line })));
}

async function sendEvidence({ request, response, id, commands }: Question): Promise<void> {
  const found = await commands.evidenceFile(id);
  if (found === null) {
    throw new ControlError(404, `no evidence file ${shown(id)}; GET /v1/evidence lists the files`);
  }
  const { bytes, content } = found;
  response.writeHead(200, { ...commonHeaders, 'Content-Type': bytesType, 'Content-Length': bytes });
  if (request.method === 'HEAD') {
    content.destroy();
    response.end();
    return;
  }
  // A client that went away, or a file that cannot be read further: the answer is cut, which its length shows.
  await pipeline(content, response).catch(() => response.destroy());
}

/** Streams until the verdict. A client that disconnects ends the stream, not the reload. */
async function reload({ response, fields, commands, streams }: Question): Promise<void> {
  const options = readFields(await fields(), 'ReloadOptions');
  let waiting: LineStream | null = null;
  const onHeld = (host: string): void => {
    waiting ??= openStream(response, streams);
    waiting.write({ type: 'waits', host });
  };
  // The first steps come before the answer.
  const early: ControlEvent[] = [];
  let pass = (event: ControlEvent): void => {
    early.push(event);
  };
  const unsubscribe = commands.subscribe((event) => pass(event));
  try {
    const given = await commands.reload(options, onHeld);
    if (waiting !== null && !given.accepted) {
      unsubscribe();
      return endWith(waiting, { type: 'refused', reason: given.reason });
    }
    const answer = accepted(given);
    const stream = waiting ?? openStream(response, streams);
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

/** Streams until the record or the plan. */
function streamDeploy(
  { response, streams }: Question,
  ask: (onLine: (line: DeployLine) => void) => Promise<DeployAnswer>,
): Promise<void> {
  return streamLines<DeployLine>({
    first: async (onLine) => ({ type: 'answer', ...accepted(await ask(onLine)) }),
    open: () => openStream(response, streams),
    isLast: ({ type }) => type === 'record' || type === 'plan',
  });
}

function endWith(stream: LineStream, line: ReloadLine): void {
  stream.write(line);
  stream.end();
}

function openStream(response: ServerResponse, streams: Set<LineStream>): LineStream {
  const stream = openLineStream(response);
  streams.add(stream);
  stream.onOver(() => streams.delete(stream));
  return stream;
}

function accepted<A extends Answer | { readonly accepted: true }>(answer: A): Extract<A, { accepted: true }> {
  if (!answer.accepted) throw new ControlError(409, answer.reason);
  return answer as Extract<A, { accepted: true }>;
}
