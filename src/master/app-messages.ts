import type { WorkerKey } from '../protocol/messages.js';

/** What an app sends to the primary of its cluster (`process.send`), where rom-agent is and nothing of the app runs. */
export interface AppMessages {
  receive(from: WorkerKey, message: unknown): void;
  /** Nothing comes from this worker any more. */
  gone(key: WorkerKey): void;
}

export interface AppMessagesSeam {
  /** To the app in another worker, on its 'message' event. */
  readonly tell: (key: WorkerKey, message: object) => void;
  readonly warn: (message: string) => void;
}

/** So many kinds are told of. */
const mostKinds = 20;

/**
 * Serves the cluster adapter of Socket.IO, of which the part in the primary does nothing but hand messages on to the
 * other workers. All else is discarded, and each kind is told of once: the app waits for somebody who is not there.
 */
export function createAppMessages({ tell, warn }: AppMessagesSeam): AppMessages {
  /** Workers in which there is such an adapter: it hears the others, elsewhere they would pile up. */
  const adapters = new Set<WorkerKey>();
  const told = new Set<string>();
  return {
    receive: (from, message) => {
      if (isOfAdapter(message)) {
        adapters.add(from);
        for (const key of adapters) if (key !== from) tell(key, message);
        return;
      }
      const kind = kindOf(message);
      if (kind === null || told.has(kind) || told.size === mostKinds) return;
      told.add(kind);
      warn(
        `discarded a message of the app to the primary of its cluster (${kind}), and so will all of this kind be: ` +
          `nothing of the app runs there${kind in remedies ? `; ${remedies[kind]}` : ''}`,
      );
    },
    gone: (key) => void adapters.delete(key),
  };
}

const remedies: Readonly<Record<string, string>> = {
  'topic log4js:message': 'log4js has workers write themselves with disableClustering: true',
  'type prom-client:getMetricsRes':
    'prom-client sums up in a primary of its own only: have each worker scraped',
};

function isOfAdapter(message: unknown): message is object {
  return isRecord(message) && message.source === '_sio_adapter';
}

/** By what messages usually tell each other apart; null: one that needs nobody, such as PM2's "ready" and metrics. */
function kindOf(message: unknown): string | null {
  if (!isRecord(message))
    return typeof message === 'string' && message !== 'ready' ? shortened(message) : null;
  for (const name of ['topic', 'type', 'cmd', 'event', 'action', 'source', '_source']) {
    const value = message[name];
    if (typeof value === 'string') return isOfPm2(value) ? null : `${name} ${shortened(value)}`;
  }
  return `an object with ${shortened(Object.keys(message).join(', ')) || 'nothing in it'}`;
}

function isOfPm2(type: string): boolean {
  return type.startsWith('axm:') || type.startsWith('sticky:');
}

function shortened(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
