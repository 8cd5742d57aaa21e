import type { Effect, Notify } from '../../src/core/effects.js';
import type { Event } from '../../src/core/events.js';

/** One line of a transcript: what happened. */
export function describeEvent(event: Event): string {
  switch (event.type) {
    case 'start':
    case 'tick':
      return `> ${event.type}`;
    case 'reload': {
      const { generation, release, by, soak, rollback } = event;
      const how = `${soak ? '' : ', no soak'}${rollback ? '' : ', no rollback'}`;
      return `> ${by} asks for a reload to generation ${generation} from ${release}${how}`;
    }
    case 'heartbeat': {
      const { requests, inFlight, bytesWritten } = event.heartbeat;
      return `> worker #${event.key} heartbeat${fields({ requests, inFlight, bytesWritten })}`;
    }
    case 'closed':
      return `> worker #${event.key} closed`;
    case 'abort':
      return `> ${event.by} asks for an abort`;
    case 'scale':
      return `> ${event.by} asks for a scale ${fields(event.change).trim()}`;
    case 'restart':
      return `> ${event.by} asks for a restart of worker ${event.slot}`;
    case 'queue':
      return `> ${event.waiting} connections wait to be accepted`;
    case 'memory':
      return `> memory${fields({ used: event.used, limit: event.limit, stalled: event.stalled })}`;
    case 'costs':
      return `> costs ${event.heavy.map(({ kind }) => kind).join(', ')}`;
    case 'mirrored': {
      const { canary, old } = event.pair;
      const answer = 'status' in canary ? canary.status : canary.outcome;
      return `> worker #${event.key} mirrored ${event.pair.method} ${event.pair.path}: ${answer}, the old ${old.status}`;
    }
    case 'leaks':
      return `> leaks ${event.leaks.map(({ kind }) => kind).join(', ')}`;
    case 'alone':
      return '> the other master is gone';
    case 'retire':
      return `> another master takes over: ${event.why}`;
    case 'stop':
      return `> stop: ${event.why}${event.now ? ', now' : ''}`;
    default: {
      const { type, key, ...rest } = event;
      return `> worker #${key} ${type}${fields(rest)}`;
    }
  }
}

/** One line of a transcript: what is done about it. */
export function describeEffect(effect: Effect): string {
  switch (effect.type) {
    case 'fork':
      return `fork #${effect.key} ${effect.role.kind === 'spare' ? 'as a spare' : `into slot ${effect.role.slot}`}, generation ${effect.generation}`;
    case 'fork-cell':
      return `fork #${effect.key} as the cell, generation ${effect.generation}`;
    case 'notify':
      return `notify ${notification(effect)}`;
    case 'log':
      return `${effect.level}: ${effect.message}${fields(effect.fields ?? {})}`;
    case 'read-queue':
      return 'read the queue of connections';
    case 'serving':
      return `serving on ${effect.urls.join(', ')}`;
    case 'exit':
      return `exit ${effect.code}`;
    case 'answer':
      return effect.answer.accepted
        ? `answer: ${effect.answer.message}`
        : `answer: refused, ${effect.answer.reason}`;
    case 'step': {
      const { atMs: at, step, worker, generation, detail } = effect.step;
      const who = worker === null ? '' : ` worker ${worker} of generation ${generation}`;
      return `step after ${at} ms: ${step}${who}${detail === '' ? '' : `, ${detail}`}`;
    }
    case 'record': {
      const { generation, verdict, tookMs, moved, lost } = effect.record;
      return `record of generation ${generation}: ${verdict} after ${tookMs} ms, ${moved} moved, ${lost} lost`;
    }
    case 'stall': {
      const { type, worker, ...rest } = effect;
      return `${type} of worker ${worker}${fields(rest)}`;
    }
    default: {
      const { type, key, ...rest } = effect;
      return `${type} #${key}${fields(rest)}`;
    }
  }
}

function notification({ type, status, ...rest }: Notify): string {
  const words = Object.entries(rest).map(([name, value]) => (value === true ? name : `${name}=${value}`));
  return [...words, ...(status === undefined ? [] : [`"${status}"`])].join(' ');
}

function fields(record: Readonly<Record<string, unknown>>): string {
  const words = Object.entries(record).filter(([, value]) => value !== undefined);
  if (words.length === 0) return '';
  return ` {${words.map(([name, value]) => `${name}: ${JSON.stringify(value)}`).join(', ')}}`;
}
