import type { Effect, Notify } from '../../src/core/effects.js';
import type { Event } from '../../src/core/events.js';

/** One line of a transcript: what happened. */
export function describeEvent(event: Event): string {
  switch (event.type) {
    case 'start':
    case 'tick':
      return `> ${event.type}`;
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
      return `fork #${effect.key} into slot ${effect.slot}, generation ${effect.generation}`;
    case 'notify':
      return `notify ${notification(effect)}`;
    case 'log':
      return `${effect.level}: ${effect.message}${fields(effect.fields ?? {})}`;
    case 'serving':
      return `serving on ${effect.urls.join(', ')}`;
    case 'exit':
      return `exit ${effect.code}`;
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
