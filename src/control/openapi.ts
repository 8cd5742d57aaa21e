import * as examples from './openapi-examples.js';
import { ref, schemas } from './openapi-schemas.js';
import { jsonType, linesType } from './protocol.js';

/** The routes as an OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.1.html). */
export function openapi(version: string) {
  return {
    openapi: '3.1.1',
    info: {
      title: 'rom-agent control socket',
      version,
      description:
        'HTTP and JSON over a unix socket. Who may open the socket may give every command; there is no other ' +
        'authorisation. Every answer bears the header Rom-Agent-Control: v1.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [
      { url: 'http://localhost', description: 'The host does not matter: the connection is the socket.' },
    ],
    paths,
    components: { schemas, responses },
  };
}

const slot = [
  {
    name: 'id',
    in: 'path',
    required: true,
    description: 'Number of the slot, from 1.',
    schema: { type: 'integer', minimum: 1 },
  },
];

const paths = {
  '/v1': { get: query('overview', 'The daemon and its routes', 'Overview') },
  '/v1/status': { get: query('status', "The master's view of the service", 'Status') },
  '/v1/config': { get: query('config', 'The effective settings and where each comes from', 'Config') },
  '/v1/history': { get: query('history', 'The last reloads', 'History') },
  '/v1/events': {
    get: {
      operationId: 'events',
      summary: 'What happens, as it happens',
      description: 'One event a line. A blank line every 15 s is a sign of life.',
      responses: { 200: lines('Event'), ...errors(400, 406) },
    },
  },
  '/v1/openapi.json': {
    get: {
      operationId: 'openapi',
      summary: 'This document',
      responses: { 200: content(jsonType, { type: 'object' }, {}), ...errors(400, 406) },
    },
  },
  '/v1/reload': {
    post: {
      operationId: 'reload',
      summary: 'Replaces the workers by a new generation',
      description:
        'The first line is the answer, then each step follows, and the last line is the record with the verdict. ' +
        'A blank line every 15 s is a sign of life. A client that goes away does not stop the reload.',
      requestBody: body('ReloadOptions'),
      responses: { 200: lines('ReloadLine'), ...errors(400, 406, 409, 413, 415) },
    },
  },
  '/v1/abort': { post: command('abort', 'Ends the reload that is under way by a rollback', 'Label') },
  '/v1/scale': {
    post: {
      ...command('scale', 'Changes the number of workers', 'ScaleOptions'),
      requestBody: body('ScaleOptions', true),
    },
  },
  '/v1/workers/{id}/restart': {
    post: {
      ...command('restart', 'Replaces one worker by another of its generation', 'Label'),
      parameters: slot,
    },
  },
  '/v1/workers/{id}/stack': {
    post: {
      ...command('stack', 'What a worker does at this moment', 'Label', 'Stack'),
      description: 'It is paused for some milliseconds. Of two in a slot it is the newest that serves.',
      parameters: slot,
    },
  },
  '/v1/workers/{id}/profile': {
    post: {
      ...command('profile', 'Has a worker write a CPU profile', 'ProfileOptions', 'EvidenceFile'),
      description: 'Answers once it is written, below `evidence` in the state directory, with mode 0600.',
      parameters: slot,
    },
  },
  '/v1/workers/{id}/heap-snapshot': {
    post: {
      ...command('heapSnapshot', 'Has a worker write a heap snapshot', 'Label', 'EvidenceFile'),
      description:
        'The worker does nothing else meanwhile, which may be minutes, and takes about twice its memory. ' +
        'Whatever it has in its memory is in the file, which has mode 0600.',
      parameters: slot,
    },
  },
  '/v1/stop': {
    post: {
      operationId: 'stop',
      summary: 'Stops the service: its workers drain and end',
      requestBody: body('Label'),
      responses: {
        202: content(jsonType, ref('Message'), { message: 'the service is stopping' }),
        ...errors(400, 406, 413, 415),
      },
    },
  },
};

const responses = Object.fromEntries(
  Object.entries(examples.errors).map(([status, example]) => [
    `Error${status}`,
    { description: example.error.code, content: { [jsonType]: { schema: ref('Error'), example } } },
  ]),
);

function query(operationId: string, summary: string, schema: keyof typeof examples.answers) {
  const example = examples.answers[schema];
  return {
    operationId,
    summary,
    responses: { 200: content(jsonType, ref(schema), example), ...errors(400, 406) },
  };
}

function command(
  operationId: string,
  summary: string,
  schema: keyof typeof examples.bodies,
  answer: keyof typeof examples.answers = 'Message',
) {
  return {
    operationId,
    summary,
    requestBody: body(schema),
    responses: {
      200: content(jsonType, ref(answer), examples.answers[answer]),
      ...errors(400, 406, 409, 413, 415),
    },
  };
}

function body(schema: keyof typeof examples.bodies, required = false) {
  return { required, content: { [jsonType]: { schema: ref(schema), example: examples.bodies[schema] } } };
}

function content(type: string, schema: object, example: unknown) {
  return { description: 'Success', content: { [type]: { schema, example } } };
}

/** The schema and each of the examples are of one line. */
function lines(schema: keyof typeof examples.lines) {
  const named = Object.entries(examples.lines[schema]).map(([name, value]) => [name, { value }]);
  return {
    description: 'One JSON document a line',
    content: { [linesType]: { schema: ref(schema), examples: Object.fromEntries(named) } },
  };
}

function errors(...statuses: readonly (keyof typeof examples.errors)[]) {
  const all = statuses.map((status) => [status, { $ref: `#/components/responses/Error${status}` }]);
  return Object.fromEntries(all);
}
