import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** Where a forge tells of a push. */
export const hookPath = '/hooks/deploy';

/** Bytes of a body: the commits of a large push are in it. */
export const longestHookBody = 5 * 2 ** 20;

/** How old a delivery with a time may be, and how far ahead its clock, ms: the Standard Webhooks specification. */
const tolerance = 300_000;
/** How many deliveries are remembered, so that none counts twice. */
const mostRemembered = 1_000;

export interface Delivery {
  readonly headers: IncomingHttpHeaders;
  /** As it came: the signature is over these bytes. */
  readonly body: Buffer;
}

export type HookAnswer =
  /** It starts a deploy. */
  | { readonly kind: 'deploy'; readonly by: string }
  /** It is genuine, and nothing follows. */
  | { readonly kind: 'ignored'; readonly reason: string }
  | { readonly kind: 'refused'; readonly status: 400 | 401; readonly reason: string };

export interface Hook {
  (delivery: Delivery): HookAnswer;
  /** No deploy came of it: the forge, which is told so, may send it again. */
  readonly forget: (delivery: Delivery) => void;
}

export interface HookOptions {
  /** The content of the file, without spaces around it. */
  readonly secret: () => string;
  /** null: the default branch of the repository. */
  readonly branch: string | null;
  /** Wall clock, ms since 1970. */
  readonly clock: () => number;
}

/**
 * Judges deliveries of GitHub (`X-Hub-Signature-256`) and GitLab (`webhook-signature`, or the older `X-Gitlab-Token`).
 *
 * What a delivery says is used to decide whether there is something to deploy, never what: a deploy takes the branch as it is
 * then. So a delivery that is sent again can at most have the same commit looked at again, even by who has recorded it.
 */
export function createHook({ secret, branch, clock }: HookOptions): Hook {
  const seen = new Set<string>();
  const judge = (delivery: Delivery): HookAnswer => {
    const genuine = verify(delivery, { secret: secret(), now: clock() });
    if ('reason' in genuine) return { kind: 'refused', status: 401, reason: genuine.reason };
    const push = pushIn(delivery);
    if ('status' in push || push.kind !== 'push') return push;
    if (seen.has(genuine.identity)) return { kind: 'ignored', reason: 'this delivery has come before' };
    seen.add(genuine.identity);
    const [oldest] = seen;
    if (seen.size > mostRemembered && oldest !== undefined) seen.delete(oldest);
    const wanted = branch ?? push.defaultBranch;
    if (push.isDeletion) return { kind: 'ignored', reason: `${push.ref} was deleted` };
    if (wanted === null || push.ref !== `refs/heads/${wanted}`)
      return {
        kind: 'ignored',
        reason: `a push to ${push.ref}, and deploys are of ${wanted ?? 'no branch'}`,
      };
    return { kind: 'deploy', by: push.by };
  };
  const forget = (delivery: Delivery): void => {
    const genuine = verify(delivery, { secret: secret(), now: clock() });
    if ('identity' in genuine) seen.delete(genuine.identity);
  };
  return Object.assign(judge, { forget });
}

type Genuine = { readonly identity: string } | { readonly reason: string };

/** A signature that is there has to hold: no weaker proof beside it counts. */
function verify(
  { headers, body }: Delivery,
  { secret, now }: { readonly secret: string; readonly now: number },
): Genuine {
  const of = (name: string): string | null => {
    const value = headers[name];
    return typeof value === 'string' && value !== '' ? value : null;
  };
  // GitLab sends id and time with every delivery, and a signature only where it has a signing token.
  const signatures = of('webhook-signature');
  if (signatures !== null) return standard({ body, secret, now, of, signatures });
  const hub = of('x-hub-signature-256');
  if (hub !== null) {
    const expected = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
    return isSame(hub, expected)
      ? { identity: hub }
      : {
          reason: 'X-Hub-Signature-256 is not that of this body and of the secret in deploy.hook_secret_file',
        };
  }
  const token = of('x-gitlab-token');
  if (token !== null) {
    return isSame(token, secret)
      ? { identity: createHash('sha256').update(body).digest('hex') }
      : { reason: 'X-Gitlab-Token is not the secret in deploy.hook_secret_file' };
  }
  return { reason: 'a signature is needed: X-Hub-Signature-256, webhook-signature or X-Gitlab-Token' };
}

interface Standard {
  readonly body: Buffer;
  readonly secret: string;
  readonly now: number;
  readonly of: (name: string) => string | null;
  readonly signatures: string;
}

/** https://www.standardwebhooks.com, as GitLab 19 has it. */
function standard({ body, secret, now, of, signatures }: Standard): Genuine {
  const [id, time] = [of('webhook-id'), of('webhook-timestamp')];
  if (id === null || time === null || !/^\d{1,12}$/.test(time))
    return { reason: 'webhook-signature needs webhook-id and webhook-timestamp beside it' };
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice('whsec_'.length), 'base64') : secret;
  const expected = `v1,${createHmac('sha256', key).update(`${id}.${time}.`).update(body).digest('base64')}`;
  if (!signatures.split(' ').some((each) => isSame(each, expected)))
    return {
      reason: 'webhook-signature is not that of this body and of the secret in deploy.hook_secret_file',
    };
  if (Math.abs(now - Number(time) * 1_000) > tolerance)
    return { reason: `the delivery is of another time, ${time}: expected one at most 300 s away` };
  return { identity: id };
}

type Push =
  | {
      readonly kind: 'push';
      readonly ref: string;
      readonly isDeletion: boolean;
      readonly defaultBranch: string | null;
      readonly by: string;
    }
  | Exclude<HookAnswer, { kind: 'deploy' }>;

function pushIn({ headers, body }: Delivery): Push {
  const event = headers['x-github-event'] ?? headers['x-gitlab-event'];
  if (event === 'ping') return { kind: 'ignored', reason: 'pong' };
  if (event !== 'push' && event !== 'Push Hook')
    return { kind: 'ignored', reason: `an event ${shown(event)}, and only a push starts a deploy` };
  const payload = objectIn(body);
  if (payload === null)
    return {
      kind: 'refused',
      status: 400,
      reason: 'the body is not JSON: choose application/json as content type',
    };
  const { ref, deleted, after } = payload;
  if (typeof ref !== 'string') return { kind: 'refused', status: 400, reason: 'the push has no ref' };
  const home = asRecord(payload.repository ?? {});
  const project = asRecord(payload.project ?? {});
  const branch = home.default_branch ?? project.default_branch;
  const who = asRecord(payload.sender ?? {}).login ?? payload.user_username;
  const forge = event === 'push' ? 'github' : 'gitlab';
  return {
    kind: 'push',
    ref: shown(ref),
    isDeletion: deleted === true || /^0{40,}$/.test(String(after)),
    defaultBranch: typeof branch === 'string' ? branch : null,
    by: `${forge}: ${typeof who === 'string' ? who.replace(/[^\w.@-]/g, '').slice(0, 40) : 'unknown'}`,
  };
}

function objectIn(body: Buffer): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return typeof value === 'object' && value !== null ? asRecord(value) : null;
  } catch {
    return null;
  }
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function shown(value: unknown): string {
  return String(value)
    .replace(/[^\x20-\x7e]/g, '?')
    .slice(0, 100);
}

/** In a time that does not depend on what is given. */
function isSame(given: string, expected: string): boolean {
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(given), hash(expected));
}

/** Has deploys follow each other: a push during one is deployed after it, and several pushes are one. */
export interface HookQueue {
  /** @returns what the forge is told */
  add(by: string): Promise<{ readonly accepted: boolean; readonly message: string }>;
}

/** ms between two attempts while another deploy is under way, and how many there are */
const retryInterval = 5_000;
const mostRetries = 720;

export interface HookQueueSeam {
  /** Resolves with its message once it is accepted. Rejects with a RomAgentError where it is refused. */
  readonly deploy: (by: string) => Promise<string>;
  readonly isBusy: (error: unknown) => boolean;
  readonly after: (ms: number, call: () => void) => void;
  readonly onProblem: (error: unknown) => void;
}

export function createHookQueue({ deploy, isBusy, after, onProblem }: HookQueueSeam): HookQueue {
  let waiting: string | null = null;
  const retry = (left: number): void => {
    after(retryInterval, () => {
      const by = waiting;
      if (by === null) return;
      deploy(by).then(
        () => {
          waiting = null;
        },
        (error: unknown) => {
          if (isBusy(error) && left > 0) return retry(left - 1);
          waiting = null;
          onProblem(error);
        },
      );
    });
  };
  return {
    add: async (by) => {
      if (waiting !== null)
        return { accepted: true, message: 'a deploy waits already for the one under way' };
      try {
        return { accepted: true, message: await deploy(by) };
      } catch (error) {
        if (!isBusy(error)) throw error;
        waiting = by;
        retry(mostRetries);
        return { accepted: true, message: 'waits for the deploy under way' };
      }
    },
  };
}
