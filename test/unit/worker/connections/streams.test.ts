import assert from 'node:assert/strict';
import {
  type ClientHttp2Session,
  connect,
  constants,
  createServer,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import test, { type TestContext } from 'node:test';
import { waitFor } from '../../../support/wait.js';
import { listening, servers } from '../tracking.js';

test('answers of HTTP/2 are counted with their errors and their latency', async (t) => {
  const session = await serving(t, (stream) => {
    stream.respond({ ':status': 200 });
    stream.end('fine');
  });
  assert.deepEqual(await change(() => ask(session)), { requests: 1, answers: 1, errors: 0, timed: 1 });
});

test('an answer of HTTP/2 with a status of 500 or more is an error', async (t) => {
  const session = await serving(t, (stream) => stream.respond({ ':status': 503 }, { endStream: true }));
  assert.deepEqual(await change(() => ask(session)), { requests: 1, answers: 1, errors: 1, timed: 1 });
});

test('a stream that the app ends with an error is an error', async (t) => {
  const session = await serving(t, (stream) => {
    stream.on('error', () => {});
    stream.destroy(new Error('a bug'));
  });
  assert.deepEqual(await change(() => ask(session)), { requests: 1, answers: 1, errors: 1, timed: 1 });
});

test('a stream that the client gives up is no answer', async (t) => {
  const session = await serving(t, (stream) => stream.on('error', () => {}));
  const seen = await change(async () => {
    const stream = session.request({ ':path': '/' });
    stream.on('error', () => {});
    await waitFor('the request', () => servers.counts().inFlight === 1);
    stream.close(constants.NGHTTP2_CANCEL);
  });
  assert.deepEqual(seen, { requests: 1, answers: 0, errors: 0, timed: 0 });
});

for (const [status, errors] of [
  ['0', 0],
  ['5', 0],
  ['13', 1],
] as const) {
  test(`a call of gRPC that ends with the status ${status} counts as ${errors} errors`, async (t) => {
    const trailers: OutgoingHttpHeaders = { 'grpc-status': status };
    const session = await serving(t, (stream) => {
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers(trailers));
      stream.end('message');
    });
    assert.equal((await change(() => ask(session))).errors, errors);
  });
}

async function serving(
  t: TestContext,
  onStream: (stream: ServerHttp2Stream) => void,
): Promise<ClientHttp2Session> {
  const server = createServer().on('stream', onStream);
  const session = connect(`http://127.0.0.1:${await listening(t, server)}`);
  session.on('error', () => {});
  t.after(() => session.destroy());
  return session;
}

function ask(session: ClientHttp2Session): Promise<void> {
  return new Promise((resolve) => {
    const stream = session.request({ ':path': '/' });
    stream
      .on('error', () => {})
      .on('close', resolve)
      .resume();
  });
}

/** What is counted besides when this is done and nothing is in flight. */
async function change(act: () => Promise<void>): Promise<Change> {
  const before = servers.counts();
  await act();
  await waitFor('the end of the stream', () => servers.counts().inFlight === 0);
  const after = servers.counts();
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);
  return {
    requests: after.requests - before.requests,
    answers: after.answers - before.answers,
    errors: after.errors - before.errors,
    timed: sum(after.latency) - sum(before.latency),
  };
}

interface Change {
  readonly requests: number;
  readonly answers: number;
  readonly errors: number;
  /** Answers in the latencies. */
  readonly timed: number;
}
