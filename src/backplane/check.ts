import { type HeldOverSocket, type Op, type Request, socketVersion } from '../protocol/backplane-socket.js';
import { EngineError, lastPriority, type NewJob } from './engine.js';

/** Bounds that the app's side and the socket have in common. */
export const bounds = {
  /** Of a name, an id or a key, characters. */
  name: 512,
  attempts: 1_000,
  /** Of a duration, ms: ten years. */
  duration: 315_360_000_000,
  concurrency: 1_000,
  failed: 10_000,
} as const;

type Check = (value: unknown, field: string) => void;

/** @throws EngineError `input`, which names the field, the value and what would be right */
export function checkRequest(request: Readonly<Record<string, unknown>>): Request {
  const { op } = request;
  if (typeof op !== 'string' || !Object.hasOwn(fields, op)) {
    throw wrong('op', op, `one of ${Object.keys(fields).join(', ')}`);
  }
  for (const [field, check] of Object.entries(fields[op as Op])) check(request[field], field);
  return request as unknown as Request;
}

/** @throws EngineError `input` */
export function checkJob(job: NewJob, field = 'job'): void {
  for (const [name, check] of Object.entries(jobFields))
    check((job as unknown as Record<string, unknown>)[name], `${field}.${name}`);
}

/** @throws EngineError `input` */
export const checkName: Check = (value, field) => {
  if (typeof value === 'string' && value.length > 0 && value.length <= bounds.name) return;
  throw wrong(field, value, `a text of 1 to ${bounds.name} characters`);
};

/** A whole number. */
export function whole(least: number, most: number = Number.MAX_SAFE_INTEGER): Check {
  return (value, field) => {
    if (Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most) return;
    throw wrong(field, value, `a whole number from ${least} to ${most}`);
  };
}

export const duration = whole(0, bounds.duration);

const finite: Check = (value, field) => {
  if (!Number.isFinite(value)) throw wrong(field, value, 'a finite number');
};
const present: Check = (value, field) => {
  if (value === undefined) throw wrong(field, value, 'a JSON value');
};
const text: Check = (value, field) => {
  if (typeof value !== 'string') throw wrong(field, value, 'a text');
};

function optional(check: Check): Check {
  return (value, field) => {
    if (value !== undefined) check(value, field);
  };
}

function record(shape: Readonly<Record<string, Check>>): Check {
  return (value, field) => {
    if (typeof value !== 'object' || value === null) throw wrong(field, value, 'an object');
    for (const [name, check] of Object.entries(shape))
      check((value as Record<string, unknown>)[name], `${field}.${name}`);
  };
}

const held = record({
  queue: checkName,
  id: checkName,
  attempt: whole(1),
} satisfies Record<keyof HeldOverSocket, Check>);

const jobFields: Readonly<Record<keyof NewJob, Check>> = {
  id: optional(checkName),
  name: optional(checkName),
  data: present,
  attempts: optional(whole(1, bounds.attempts)),
  backoffMs: optional(duration),
  delayMs: optional(duration),
  priority: optional(whole(0, lastPriority)),
};

const fields: Readonly<Record<Op, Readonly<Record<string, Check>>>> = {
  hello: {
    version: whole(socketVersion, socketVersion),
    owner: record({ id: checkName, pid: whole(1) }),
    holding: (value, field) => {
      if (!Array.isArray(value)) throw wrong(field, value, 'an array');
      for (const [index, each] of value.entries()) held(each, `${field}[${index}]`);
    },
  },
  add: { queue: checkName, job: record(jobFields) },
  work: { work: whole(0), queue: checkName, concurrency: whole(1, bounds.concurrency) },
  unwork: { work: whole(0) },
  end: { job: held, error: optional(text) },
  queues: {},
  counts: { queue: checkName },
  failed: { queue: checkName, limit: whole(1, bounds.failed) },
  retry: { queue: checkName, job: checkName },
  get: { key: checkName },
  set: {
    key: checkName,
    value: present,
    ttlMs: optional(whole(1, bounds.duration)),
    ifVersion: optional(whole(0)),
  },
  delete: { key: checkName },
  increment: { key: checkName, by: finite, ttlMs: optional(whole(1, bounds.duration)) },
  acquire: { name: checkName, ttlMs: whole(1, bounds.duration), waitMs: duration },
  extend: { name: checkName, token: whole(1), ttlMs: whole(1, bounds.duration) },
  release: { name: checkName, token: whole(1) },
  publish: { channel: checkName, message: present },
  subscribe: { channel: checkName },
  unsubscribe: { channel: checkName },
  health: {},
};

export function wrong(field: string, value: unknown, expected: string): EngineError {
  return new EngineError('input', `${field}: ${shown(value)} is not right: expected ${expected}`);
}

function shown(value: unknown): string {
  const text = value === undefined ? 'nothing' : inWords(value);
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}

function inWords(value: unknown): string {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'bigint') return `${value}n`;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return `a ${typeof value} that is not JSON`;
  }
}
