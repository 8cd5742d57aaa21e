import type { LogEffect } from '../core/effects.js';
import { count } from '../protocol/words.js';
import { healthy, ill, recycled, relieved, replaced } from './tell-health.js';
import { fewer, givesUp, scaled, stopping } from './tell-service.js';
import { died, gone, ready, willDrain } from './tell-workers.js';
import type { Telling } from './telling.js';

export interface Rule {
  readonly pattern: RegExp;
  readonly tell: (telling: Telling, match: RegExpExecArray, log: LogEffect) => void;
}

const silently = (): void => {};

/** What becomes of the core's log entries. The first rule whose pattern matches counts. */
export const rules: readonly Rule[] = [
  // Told by another effect, or no decision.
  { pattern: /^statistics: /, tell: silently },
  {
    pattern: /^(serving|running) with \d+ workers?$/,
    tell: (t, [text]) => t.say({ kind: 'service', text, cause: 'every slot has a worker that is ready' }),
  },
  { pattern: /^(?:worker \d+|a spare) (?:stalled: |did not run for )/, tell: silently },
  { pattern: /^(?:a spare takes over|the canary begins to listen) as worker \d+$/, tell: silently },
  // The step says it.
  { pattern: /^the canary serves without a verdict of its mirror: /, tell: silently },
  { pattern: /; killing it$/, tell: silently },
  { pattern: /drain at once: the oldest is ended$/, tell: silently },
  { pattern: /^stopped$/, tell: silently },
  { pattern: /^generation \d+ is rolled back: /, tell: silently },
  { pattern: /^reload to generation \d+( (done|rolled back|superseded|stopped) .*)?$/s, tell: silently },
  // Lives of workers.
  { pattern: / is ready$|^the canary has booted$/, tell: (t, _, log) => ready(t, log) },
  { pattern: / is gone$| ended with .* while it drained$/, tell: (t, _, log) => gone(t, log) },
  { pattern: /^(?:worker \d+|a spare) drains: fewer workers are wanted$/, tell: (t) => fewer(t) },
  {
    pattern: /^(?:worker \d+|a spare) drains: (.*)$/s,
    tell: (t, [, why = ''], log) => willDrain(t, log, why),
  },
  {
    pattern: /^(?:worker \d+|a spare|the canary) (?:crashed|hung|died before [^:]*): /,
    tell: (t, _, log) => died(t, log),
  },
  // Their health.
  {
    pattern: /^(.*? is (?:unhealthy|degraded)): (.*)$/s,
    tell: (t, [, text = '', why = ''], log) => ill(t, log, { text, why }),
  },
  { pattern: / is healthy again$/, tell: (t, _, log) => healthy(t, log) },
  {
    pattern: /^(.*? sheds load): (.*); (.*)$/s,
    tell: (t, [, text = '', why = '', what = ''], log) =>
      t.sayOf(log, {
        kind: 'health',
        text: `${text}: ${what}`,
        cause: why,
        advice: 'more workers or machines serve more; rom-agent top shows which worker is busy',
      }),
  },
  {
    pattern: /^(.*? serves every request again): (.*)$/s,
    tell: (t, [, text = '', cause = ''], log) => t.sayOf(log, { kind: 'health', text, cause }),
  },
  {
    pattern: /^worker (\d+) is being replaced: it is unhealthy$/,
    tell: (t, [, slot], log) => replaced(t, log, { slot: Number(slot), why: 'illness' }),
  },
  {
    pattern: /^worker (\d+) is being recycled: (.*)$/,
    tell: (t, [, slot, why = ''], log) => recycled(t, log, { slot: Number(slot), why }),
  },
  {
    pattern: /^worker (\d+) is being replaced$/,
    tell: (t, [, slot], log) => replaced(t, log, { slot: Number(slot), why: 'asked' }),
  },
  {
    pattern: /^(worker \d+ is unhealthy again), (.*): (it stays for now)$/,
    tell: (t, [, what = '', when = '', then = ''], log) =>
      t.sayOf(log, {
        kind: 'health',
        text: `${what}: ${then}`,
        cause: `that was ${when}: another one would not help`,
      }),
  },
  {
    pattern: /^(.* did not answer for [\d.]+ s)(?:: it was (.*))?$/s,
    tell: (t, [, text = '', where], log) =>
      t.sayOf(log, {
        kind: 'health',
        text: `${text}, and answers again`,
        cause: where === undefined ? null : `it was ${where}`,
      }),
  },
  {
    pattern: /^(.* cut what was left) at the end of its drain$/,
    tell: (t, [, text = ''], log) =>
      t.sayOf(log, {
        kind: 'draining',
        text: `${text}: ${count(Number(log.fields?.requests ?? 0), 'request')}, ${count(Number(log.fields?.connections ?? 0), 'connection')}`,
        cause: 'its drain reached its limit',
        advice: 'raise drain_timeout if requests take longer',
      }),
  },
  // The machine.
  {
    pattern: /^(memory is short, [^:]*): (.*)$/s,
    tell: (t, [, short = '', what = '']) => relieved(t, { short, what }),
  },
  {
    pattern: /^(\S+ \S+ keeps .*? per request) \(.*?\): (.* of the growth (?:outside )?of the heaps)$/,
    tell: (t, [, text = '', cause = '']) =>
      t.say({
        kind: 'memory',
        text,
        cause,
        advice: cause.includes('outside of')
          ? 'it is memory of native code, such as addons and crypto: no heap snapshot shows it'
          : 'two heap snapshots show what it keeps: rom-agent heap-snapshot',
      }),
  },
  {
    pattern: /^(\S+ \S+ takes .* per request) \(.*?\): (.*)$/s,
    tell: (t, [, text = '', cause = '']) =>
      t.say({
        kind: cause.includes('blocks the event loop') ? 'stall' : 'note',
        text,
        cause,
        advice: 'rom-agent profile shows the functions, rom-agent status --routes the other routes',
      }),
  },
  {
    pattern: /^(master event loop stalled for \d+ ms); (.*)$/,
    tell: (t, [, cause, text = '']) =>
      t.say({
        kind: 'stall',
        text,
        cause: `${cause}: the process was stopped or got no CPU, or the machine slept`,
      }),
  },
  {
    pattern: /^(watchdog pings (?:are withheld|go on)): (.*)$/,
    tell: (t, [, text = '', cause]) =>
      t.say({
        kind: 'watchdog',
        text,
        cause: cause ?? null,
        advice: text.endsWith('withheld')
          ? 'systemd ends the service after WatchdogSec= unless that changes'
          : null,
      }),
  },
  {
    pattern: /^(\S+ \S+) (was in flight when .*?)(?:([:;]) (.*))?$/s,
    tell: (t, [, what = '', deaths = '', mark, then = 'it goes on to reach the app']) =>
      t.say({
        kind: 'poison',
        text: mark === ':' ? `${what} ${then.replace(/^it /, '')}` : `${what} is suspected`,
        cause: mark === ';' ? `it ${deaths}; ${then}` : `it ${deaths}`,
        advice:
          mark === ':'
            ? null
            : 'poison.block keeps such requests out for a while: with 503, or with poison.cell to die alone',
      }),
  },
  {
    pattern: /^(the cell (?:died|could not start), and no other worker): (.*)$/s,
    tell: (t, [, text = '', cause = ''], { fields }) => {
      const requests = Array.isArray(fields?.requests) ? `; in flight: ${fields.requests.join(', ')}` : '';
      t.say({ kind: 'poison', text, cause: `${cause}${requests}` });
    },
  },
  {
    pattern: /^(the cell ends): (.*)$/,
    tell: (t, [, text = '', cause = '']) => t.say({ kind: 'poison', text, cause }),
  },
  // Commands, and the end.
  { pattern: /^(scaled from [^:]*)(?:: (.*))?$/, tell: (t, [, text = '', why]) => scaled(t, text, why) },
  {
    pattern: /^the number of workers follows the load, /,
    tell: (t, _, { message, fields }) =>
      t.say({ kind: 'scale', text: message, cause: `asked by ${fields?.by}` }),
  },
  {
    pattern: /^refused: (.*)$/s,
    tell: (t, [text], log) => {
      const { by } = log.fields ?? {};
      t.say({ kind: 'refused', text, cause: typeof by === 'string' ? `asked by ${by}` : null });
    },
  },
  { pattern: /^stopping: (.*)$/s, tell: (t, [, why = '']) => stopping(t, why) },
  {
    pattern: /^cannot start: (.*)$/s,
    tell: (t, [, why = '']) =>
      t.say({
        kind: 'service',
        text: 'the service cannot start',
        cause: why,
        advice: 'rom-agent doctor looks for what is wrong',
      }),
  },
  {
    pattern: /^(.*): killing the workers that are left$/s,
    tell: (t, [, why]) =>
      t.say({ kind: 'service', text: 'the workers that are left are killed', cause: why ?? null }),
  },
  { pattern: /^too many restarts: /, tell: (t, _, { message }) => givesUp(t, message) },
];
