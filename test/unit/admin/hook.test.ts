import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { describe, test } from 'node:test';
import { createHook, createHookQueue, type Delivery } from '../../../src/admin/hook.js';

const secret = 'a secret of some length';
const nowMs = 1_795_000_000_000;
const push = {
  ref: 'refs/heads/main',
  after: '1a2b3c4',
  repository: { default_branch: 'main' },
  sender: { login: 'alice' },
};

const hook = (options: { branch?: string | null; secret?: string } = {}) =>
  createHook({ secret: () => options.secret ?? secret, branch: options.branch ?? null, clock: () => nowMs });

function github(payload: object, { key = secret, event = 'push' } = {}): Delivery {
  const body = Buffer.from(JSON.stringify(payload));
  const signature = createHmac('sha256', key).update(body).digest('hex');
  return { body, headers: { 'x-github-event': event, 'x-hub-signature-256': `sha256=${signature}` } };
}

function gitlab(payload: object, headers: Record<string, string>): Delivery {
  return {
    body: Buffer.from(JSON.stringify(payload)),
    headers: { 'x-gitlab-event': 'Push Hook', ...headers },
  };
}

/** As GitLab 19 signs, by the specification of Standard Webhooks. */
function signed(
  payload: object,
  { key, at = nowMs, id = 'one' }: { key: string; at?: number; id?: string },
): Delivery {
  const time = String(Math.floor(at / 1000));
  const bytes = Buffer.from(key.replace('whsec_', ''), 'base64');
  const text = `${id}.${time}.${JSON.stringify(payload)}`;
  const signature = `v1,${createHmac('sha256', bytes).update(text).digest('base64')}`;
  return gitlab(payload, {
    'webhook-id': id,
    'webhook-timestamp': time,
    'webhook-signature': `v1,AAAA ${signature}`,
  });
}

describe('a webhook', () => {
  test('of GitHub starts a deploy by its signature', () => {
    assert.deepEqual(hook()(github(push)), { kind: 'deploy', by: 'github: alice' });
    const forged = hook()(github(push, { key: 'another secret' }));
    assert.ok(forged.kind === 'refused' && forged.status === 401);
    const changed = { ...github(push), body: Buffer.from(JSON.stringify({ ...push, after: 'x' })) };
    assert.equal(hook()(changed).kind, 'refused');
  });

  test('of GitLab does by its token, or by its newer signature', () => {
    const { sender: _, repository, ...rest } = push;
    const payload = { ...rest, project: repository, user_username: 'bob' };
    assert.deepEqual(hook()(gitlab(payload, { 'x-gitlab-token': secret })), {
      kind: 'deploy',
      by: 'gitlab: bob',
    });
    assert.equal(hook()(gitlab(payload, { 'x-gitlab-token': 'wrong' })).kind, 'refused');
    const key = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
    assert.equal(hook({ secret: key })(signed(payload, { key })).kind, 'deploy');
    const old = hook({ secret: key })(signed(payload, { key, at: nowMs - 301_000 }));
    assert.ok(old.kind === 'refused' && /is of another time/.test(old.reason));
    // Every delivery of GitLab has an id and a time; without a signing token there is no signature.
    const both = gitlab(payload, { 'webhook-id': 'x', 'webhook-timestamp': '1', 'x-gitlab-token': secret });
    assert.equal(hook()(both).kind, 'deploy');
  });

  test('with a signature that does not hold is not saved by a token that does', () => {
    const { headers, body } = github(push, { key: 'another secret' });
    assert.equal(hook()({ body, headers: { ...headers, 'x-gitlab-token': secret } }).kind, 'refused');
    const other = gitlab(push, {
      'webhook-signature': 'v1,AAAA',
      'webhook-id': 'x',
      'webhook-timestamp': '1',
      'x-gitlab-token': secret,
    });
    assert.equal(hook()(other).kind, 'refused');
  });

  test('without a proof is refused', () => {
    const answer = hook()({ headers: { 'x-github-event': 'push' }, body: Buffer.from(JSON.stringify(push)) });
    assert.ok(answer.kind === 'refused' && /a signature is needed/.test(answer.reason));
  });

  test('counts once', () => {
    const judge = hook();
    assert.equal(judge(github(push)).kind, 'deploy');
    assert.deepEqual(judge(github(push)), { kind: 'ignored', reason: 'this delivery has come before' });
  });

  test('of which no deploy came may be sent again', () => {
    const judge = hook();
    assert.equal(judge(github(push)).kind, 'deploy');
    judge.forget(github(push));
    assert.equal(judge(github(push)).kind, 'deploy');
  });

  test('of another branch, a deletion or another event is ignored', () => {
    const kinds = [
      hook({ branch: 'production' })(github(push)),
      hook()(github({ ...push, ref: 'refs/tags/main' })),
      hook()(github({ ...push, deleted: true })),
      hook()(github(push, { event: 'ping' })),
      hook()(github(push, { event: 'issues' })),
    ].map(({ kind }) => kind);
    assert.deepEqual(new Set(kinds), new Set(['ignored']));
  });

  test('that is no JSON says what to choose', () => {
    const body = Buffer.from('payload=%7B%7D');
    const signature = createHmac('sha256', secret).update(body).digest('hex');
    const answer = hook()({
      body,
      headers: { 'x-github-event': 'push', 'x-hub-signature-256': `sha256=${signature}` },
    });
    assert.ok(answer.kind === 'refused' && answer.status === 400 && /application\/json/.test(answer.reason));
  });
});

test('a push during a deploy is deployed after it, and several pushes once', async () => {
  const calls: string[] = [];
  const timers: (() => void)[] = [];
  let busy = true;
  const queue = createHookQueue({
    deploy: async (by) => {
      calls.push(by);
      if (busy) throw new Error('busy');
      return 'deploy x';
    },
    isBusy: () => true,
    after: (_, call) => timers.push(call),
    onProblem: (error) => assert.fail(String(error)),
  });
  assert.deepEqual(await queue.add('alice'), { accepted: true, message: 'waits for the deploy under way' });
  assert.match((await queue.add('bob')).message, /a deploy waits already/);
  for (let round = 0; round < 3; round++) {
    busy = round < 2;
    timers.shift()?.();
    await new Promise(setImmediate);
  }
  assert.deepEqual(calls, ['alice', 'alice', 'alice', 'alice']);
  assert.equal(timers.length, 0);
  assert.equal((await queue.add('carol')).message, 'deploy x');
});
