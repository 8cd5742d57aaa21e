import type { Effect } from '../core/effects.js';
import type { Event } from '../core/events.js';
import type { Policy } from '../core/policy.js';
import type { State } from '../core/state.js';
import type { Heartbeat } from '../protocol/heartbeat.js';
import type { Millis } from '../protocol/limits.js';
import type { WorkerKey } from '../protocol/messages.js';
import type { Turn } from './turn.js';

/*
 * The core's turns as lines of JSON, from which they can be run again: a beginning (`begin`), which has the state before the
 * turn that follows, and a line a turn. There is hardly anything but heartbeats and ticks, so these are short:
 *
 *   [now]                                   a tick
 *   [now, event]                            any other event
 *   [now, key, [field, value, ...]]         a heartbeat: what differs from the one before of the same worker
 *   [..., effects]                          where there are any; after a tick, null stands for its event
 *   {"policy": ...}, {"field": "rssBytes"}  from here on; a field is known by its place in the list of those before
 *   {"clockMs": ..., "now": ...}            wall clock and monotonic clock, where they have drifted apart
 */

/** Which program runs. */
export interface Run {
  readonly version: string;
  /** See protocol/build.ts. */
  readonly build: string;
  /** Version of Node. */
  readonly node: string;
  readonly pid: number;
}

export interface Beginning extends Run {
  readonly format: number;
  readonly clockMs: number;
  readonly now: Millis;
  readonly policy: Policy;
  readonly state: State;
}

const format = 1;

export interface Encoder {
  /** The lines that make what follows readable without what was before. */
  begin(turn: Turn): string;
  /** The lines of a turn. */
  encode(turn: Turn): string;
}

/** From here on the two clocks count as having drifted apart, ms. */
const drift = 500;

export function createEncoder(run: Run): Encoder {
  let policy: Policy | null = null;
  let offset = 0;
  let fields = new Map<string, number>();
  let last = new Map<WorkerKey, Heartbeat>();

  const heartbeat = (key: WorkerKey, current: Heartbeat): { changes: string; names: string } => {
    const before: Readonly<Record<string, unknown>> = { ...last.get(key) };
    last.set(key, current);
    let names = '';
    const changes: string[] = [];
    const change = (name: string, value: string): void => {
      let place = fields.get(name);
      if (place === undefined) {
        place = fields.size;
        fields.set(name, place);
        names += line({ field: name });
      }
      changes.push(`${place},${value}`);
    };
    for (const [name, value] of Object.entries(current)) {
      if (!isSame(value, before[name])) change(name, value === undefined ? '"-"' : JSON.stringify(value));
    }
    for (const name of Object.keys(before)) if (!(name in current)) change(name, '"-"');
    return { changes: `[${changes.join()}]`, names };
  };
  return {
    begin: (turn) => {
      policy = turn.policy;
      offset = turn.clockMs - turn.now;
      fields = new Map();
      last = new Map();
      const { clockMs, now, before: state } = turn;
      const beginning: Beginning = { format, ...run, clockMs, now, policy, state };
      return line({ begin: beginning });
    },
    encode: ({ now, clockMs, event, policy: current, effects }) => {
      let lines = '';
      if (current !== policy) {
        policy = current;
        lines += line({ policy });
      }
      if (Math.abs(clockMs - now - offset) > drift) {
        offset = clockMs - now;
        lines += line({ clockMs, now });
      }
      const done = effects.length === 0 ? '' : `,${JSON.stringify(effects)}`;
      if (event.type === 'heartbeat') {
        const { changes, names } = heartbeat(event.key, event.heartbeat);
        return `${lines}${names}[${now},${event.key},${changes}${done}]\n`;
      }
      if (event.type === 'exited') last.delete(event.key);
      const what = event.type !== 'tick' ? `,${JSON.stringify(event)}` : done === '' ? '' : ',null';
      return `${lines}[${now}${what}${done}]\n`;
    },
  };
}

function line(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

/** Lists are of numbers, or mostly empty. */
function isSame(one: unknown, other: unknown): boolean {
  if (!Array.isArray(one) || !Array.isArray(other)) return one === other;
  return one.length === other.length && one.every((value, index) => value === other[index]);
}

/** What a record consists of. */
export type Entry =
  | { readonly type: 'begin'; readonly beginning: Beginning }
  | Recorded
  /** A line that cannot be read: it was torn, or somebody has changed the file. */
  | { readonly type: 'gap'; readonly line: number; readonly why: string };

/** A turn as it is in a record. */
export interface Recorded {
  readonly type: 'turn';
  /** Of the file, from 1. */
  readonly line: number;
  readonly now: Millis;
  readonly clockMs: number;
  readonly event: Event;
  readonly policy: Policy;
  readonly effects: readonly Effect[];
}

/** Reads a record. Turns before the first beginning, and behind a gap, build on what is not there: they are left out. */
export function* decode(text: string): Generator<Entry> {
  let reader: Reader | null = null;
  for (const [index, content] of text.split('\n').entries()) {
    const place = index + 1;
    if (content === '') continue;
    const value = parsed(content);
    if (value !== undefined && isObject(value) && isObject(value.begin)) {
      const beginning = value.begin as unknown as Beginning;
      reader = readerOf(beginning);
      yield { type: 'begin', beginning };
      continue;
    }
    if (reader === null) continue;
    const entry = value === undefined ? 'it is no JSON' : reader.read(value, place);
    if (typeof entry === 'string') {
      yield { type: 'gap', line: place, why: entry };
      reader = null;
    } else if (entry !== null) yield entry;
  }
}

interface Reader {
  /** A turn; null: there is none in this line; or what is wrong with it. */
  read(value: unknown, line: number): Recorded | string | null;
}

function readerOf(beginning: Beginning): Reader {
  let { policy } = beginning;
  let offset = beginning.clockMs - beginning.now;
  const fields: string[] = [];
  const last = new Map<WorkerKey, Heartbeat>();
  const heartbeat = (key: WorkerKey, changes: readonly unknown[]): Heartbeat | null => {
    const current: Record<string, unknown> = { ...last.get(key) };
    for (let index = 0; index < changes.length; index += 2) {
      const name = fields[changes[index] as number];
      if (name === undefined) return null;
      const value = changes[index + 1];
      if (value === '-') delete current[name];
      else current[name] = value;
    }
    const whole = current as unknown as Heartbeat;
    last.set(key, whole);
    return whole;
  };
  return {
    read: (value, line) => {
      if (!Array.isArray(value)) {
        if (!isObject(value)) return 'it is no entry';
        if (isObject(value.policy)) policy = value.policy as unknown as Policy;
        else if (typeof value.field === 'string') fields.push(value.field);
        else if (typeof value.clockMs === 'number') offset = value.clockMs - Number(value.now);
        else return 'it is no entry';
        return null;
      }
      const [now, second] = value as readonly unknown[];
      if (typeof now !== 'number') return 'it has no time';
      const turn = (event: Event, effects: unknown): Recorded => {
        const done = Array.isArray(effects) ? (effects as readonly Effect[]) : [];
        return { type: 'turn', line, now, clockMs: now + offset, event, policy, effects: done };
      };
      if (typeof second === 'number') {
        const whole = Array.isArray(value[2]) ? heartbeat(second, value[2]) : null;
        if (whole === null) return 'its heartbeat builds on another one, which is not there';
        return turn({ type: 'heartbeat', key: second, heartbeat: whole }, value[3]);
      }
      if (second === undefined || second === null) return turn({ type: 'tick' }, value[2]);
      if (!isObject(second) || typeof second.type !== 'string') return 'it has no event';
      if (second.type === 'exited') last.delete(second.key as WorkerKey);
      return turn(second as unknown as Event, value[2]);
    },
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
