import { type Leak, leakInWords } from '../protocol/leak.js';
import type { Event } from './events.js';
import type { Transaction } from './transaction.js';

/** Each kind of request that leaks is told once, for as long as it goes on. Nothing is decided by it. */
export function leaked(t: Transaction, { leaks }: Extract<Event, { type: 'leaks' }>): void {
  const known = new Set(t.state.leaks.map(({ kind }) => kind));
  t.update({ leaks });
  for (const leak of leaks) if (!known.has(leak.kind)) t.log('warn', leakInWords(leak), asFields(leak));
}

function asFields({ bytesPerRequest, lowBytes, highBytes, share }: Leak): Readonly<Record<string, number>> {
  return {
    bytesPerRequest: Math.round(bytesPerRequest),
    lowBytes: Math.round(lowBytes),
    highBytes: Math.round(highBytes),
    sharePercent: Math.round(share * 100),
  };
}
