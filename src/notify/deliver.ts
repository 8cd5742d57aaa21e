import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { type Millis, notifyLimit } from '../protocol/limits.js';
import type { Config } from '../settings/config.js';

/** What is told, as a command reads it and a webhook gets it. */
export interface Payload {
  /** Of this form. */
  readonly version: 1;
  readonly type: string;
  /** The message with the service's name before it, as chat services want it. */
  readonly text: string;
  readonly service: string;
  readonly host: string;
  /** ms since 1970. */
  readonly atMs: number;
  readonly message: string;
  readonly cause: string;
  readonly details: Readonly<Record<string, string | number>>;
  readonly untold: number;
}

/** One way to tell somebody. */
export interface Target {
  /** Without what may be secret: "the command /usr/local/bin/page", "the webhook at https://hooks.example". */
  readonly name: string;
  /** Resolves once it is told. @throws Failure */
  deliver(payload: Payload, signal: AbortSignal): Promise<void>;
}

/** Why somebody was not told. */
export class Failure extends Error {
  /** Trying again would not help. */
  readonly isLasting: boolean;

  constructor(message: string, { isLasting = false }: { readonly isLasting?: boolean } = {}) {
    super(message);
    this.name = 'Failure';
    this.isLasting = isLasting;
  }
}

export function targetsOf({ command, webhook, webhookFile, tokenFile }: Config['notify']): readonly Target[] {
  const [program, ...args] = command;
  return [
    ...(program === undefined ? [] : [commandTarget(program, args)]),
    ...(webhook === null && webhookFile === null ? [] : [webhookTarget({ webhook, webhookFile, tokenFile })]),
  ];
}

const commandLimit = notifyLimit;
const webhookLimit: Millis = 10_000;
/** How much of what a command says when it fails is passed on, characters. */
const mostSaid = 500;

function commandTarget(program: string, args: readonly string[]): Target {
  const name = `the command ${program}`;
  return { name, deliver: (payload, signal) => run([program, ...args], payload, signal) };
}

/** Runs it without a shell: the payload on its standard input, the short facts in its environment. */
function run(
  [program = '', ...args]: readonly string[],
  payload: Payload,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const { type, service, host, message, cause } = payload;
    const facts = {
      ...{ ROM_NOTIFY_TYPE: type, ROM_NOTIFY_MESSAGE: message, ROM_NOTIFY_CAUSE: cause },
      ...{ ROM_NOTIFY_SERVICE: service, ROM_NOTIFY_HOST: host },
    };
    const limit = AbortSignal.timeout(commandLimit);
    const child = spawn(program, args, {
      stdio: ['pipe', 'ignore', 'pipe'],
      env: { ...process.env, ...withoutNul(facts) },
      signal: AbortSignal.any([signal, limit]),
      killSignal: 'SIGKILL',
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = `${said}${text}`.slice(-mostSaid);
    });
    // It may end without reading.
    child.stdin.on('error', () => {});
    child.stdin.end(`${JSON.stringify(payload)}\n`);
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (limit.aborted) reject(new Failure(`it took more than ${commandLimit / 1000} s`));
      else if (signal.aborted) reject(new Failure('the service ends'));
      else
        reject(new Failure(error.message, { isLasting: error.code === 'ENOENT' || error.code === 'EACCES' }));
    });
    // Not 'close': a child of its own may keep the pipe.
    child.on('exit', (code, killedBy) => {
      child.stderr.destroy();
      if (code === 0) return resolve();
      const how = killedBy === null ? `it ended with status ${code}` : `it was ended by ${killedBy}`;
      reject(new Failure(said.trim() === '' ? how : `${how}: ${said.trim()}`));
    });
  });
}

function withoutNul(facts: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(facts).map(([name, value]) => [name, value.replaceAll('\0', '')]));
}

type WebhookSettings = Pick<Config['notify'], 'webhook' | 'webhookFile' | 'tokenFile'>;

function webhookTarget({ webhook, webhookFile, tokenFile }: WebhookSettings): Target {
  const name = `the webhook at ${webhookFile === null ? new URL(webhook ?? '').origin : `the URL in ${webhookFile}`}`;
  return {
    name,
    deliver: async (payload, signal) => {
      const url = webhookFile === null ? (webhook ?? '') : await urlIn(webhookFile);
      const token = tokenFile === null ? null : await secretIn(tokenFile);
      await post(url, { payload, token, signal });
    },
  };
}

interface Post {
  readonly payload: Payload;
  readonly token: string | null;
  readonly signal: AbortSignal;
}

async function post(url: string, { payload, token, signal }: Post): Promise<void> {
  const limit = AbortSignal.timeout(webhookLimit);
  let answer: Response;
  try {
    answer = await fetch(url, {
      method: 'POST',
      // The token is for this host alone.
      redirect: 'manual',
      headers: {
        'Content-Type': 'application/json',
        'User-Agent': 'rom-agent',
        ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify(payload),
      signal: AbortSignal.any([signal, limit]),
    });
    await answer.body?.cancel();
  } catch (error) {
    if (limit.aborted) throw new Failure(`no answer within ${webhookLimit / 1000} s`);
    if (signal.aborted) throw new Failure('the service ends');
    throw new Failure(reasonOf(error));
  }
  if (answer.ok) return;
  // 408 Request Timeout, 425 Too Early, 429 Too Many Requests: RFC 9110, RFC 8470, RFC 6585.
  const isLasting = answer.status < 500 && ![408, 425, 429].includes(answer.status);
  throw new Failure(`it answered ${answer.status}`, { isLasting });
}

/** What fetch says is in its cause. Neither has the path of the URL in it. */
function reasonOf(error: unknown): string {
  const { cause, message } = error as Error & { readonly cause?: NodeJS.ErrnoException };
  return cause?.code ?? cause?.message ?? message;
}

async function urlIn(path: string): Promise<string> {
  const text = await secretIn(path);
  if (/^https?:\/\//.test(text) && URL.canParse(text)) return text;
  throw new Failure(`${path} does not hold a URL that begins with https:// or http://`, { isLasting: true });
}

async function secretIn(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Failure(`${path} cannot be read: ${error.code}`, { isLasting: true });
  });
  const line = text.trim();
  if (/^[\x21-\x7e]+$/.test(line)) return line;
  throw new Failure(`${path} does not hold one line of printable ASCII without spaces`, { isLasting: true });
}
