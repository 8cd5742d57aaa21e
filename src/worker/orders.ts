import type { RawHandle } from '../protocol/handles.js';
import type { MasterMessage } from '../protocol/messages.js';
import { redacted, whole } from './connections/current-requests.js';
import type { Asker } from './mirror/asker.js';
import type { Sampler } from './mirror/sampler.js';
import type { Parts } from './serve.js';

export type Order<Type extends MasterMessage['type']> = Extract<MasterMessage, { type: Type }>;

/** How the worker answers each message of the master. */
type Orders = {
  readonly [Type in MasterMessage['type']]: (
    message: Order<Type>,
    connection: RawHandle | undefined,
  ) => Promise<void> | void;
};

/** Carries out the master's orders from now on. Code for rare orders is loaded with the first of them. */
export function obey(parts: Parts): void {
  const orders = ordersFor(parts);
  parts.channel.onMessage((message, connection) => {
    // One function for each type: TypeScript cannot see that the message fits the function.
    const order = orders[message.type] as (
      message: MasterMessage,
      connection?: RawHandle,
    ) => Promise<void> | void;
    order(message, connection)?.catch((error) =>
      parts.log.warn(`the order ${message.type} failed`, { error }),
    );
  });
}

function ordersFor(parts: Parts): Orders {
  const { settings, channel, servers, shutdown, heartbeats, handOn, sticky, operations, blocked, promotion } =
    parts;
  const target = { servers, listen: settings.listen };
  const mirror = mirrorOrders(parts);
  return {
    drain: (message) => {
      mirror.close();
      parts.drain(message);
    },
    release: () => shutdown.release(),
    dismissed: () => shutdown.dismissed(),
    'lame-duck': () => {
      parts.state.leaving = true;
    },
    heartbeat: () => heartbeats.now(),
    'even-out': (message) => handOn.order(message),
    take: (message, connection) => handOn.take(message, connection),
    handed: (message) => handOn.onHanded(message),
    workers: (message) => sticky.onWorkers(message),
    stats: (message) => operations.onStats(message),
    fleet: (message) => operations.onFleet(message),
    metrics: async ({ id }) => {
      if (parts.collector !== null)
        await channel.send({ type: 'metrics', id, metrics: await parts.collector.asked() });
    },
    'metrics-snapshot': (message) => operations.onSnapshot(message),
    promote: ({ slot }) => {
      mirror.close();
      promotion.resolve(slot);
    },
    ...mirror.orders,
    block: ({ requests, cell }) => blocked.set(requests, cell),
    probe: async (message) => {
      const { probe } = await import('./health/probe.js');
      await channel.send({ type: 'probed', ...(await probe(target, message)) });
    },
    prove: async ({ timeout }) => {
      // That the worker reads the order shows that its event loop turns; an app without a listener has to prove no
      // more.
      if (settings.kind === 'process') return channel.send({ type: 'proved' });
      const { proves } = await import('./health/probe.js');
      if (await proves(target, { path: settings.health.probe, timeout }))
        await channel.send({ type: 'proved' });
    },
    evidence: async (message) => {
      const { writeEvidence } = await import('./health/evidence.js');
      const { id, path } = message;
      await channel.send({ type: 'evidence', id, path, ...(await writeEvidence(message)) });
    },
  };
}

/** A mirrored canary, and the old workers that tell what it is to be asked: nothing of it is loaded outside of a mirror. */
function mirrorOrders({ settings, channel, state }: Parts): {
  readonly orders: Pick<Orders, 'mirror-open' | 'mirror-ask' | 'mirror'>;
  readonly close: () => void;
} {
  let asker: Asker | null = null;
  let sampler: Promise<Sampler> | null = null;
  let isClosed = false;
  const begin = async (timeout: number): Promise<string | null> => {
    const { openAsker } = await import('./mirror/asker.js');
    const { held } = state;
    if (held === null) return 'it listens already';
    try {
      const opened = await openAsker(
        {
          held: held.waiting,
          listen: settings.listen,
          probe: settings.start.probe,
          tellPath: settings.redact === 'on' ? redacted : whole,
          onPair: (pair) => void channel.send({ type: 'mirrored', pair }),
        },
        timeout,
      );
      if (isClosed) opened.close();
      else asker = opened;
      return null;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  };
  return {
    orders: {
      'mirror-open': async ({ timeout }) => {
        const failure = await begin(timeout);
        await channel.send({ type: 'mirror-opened', failure });
      },
      'mirror-ask': ({ request, answer }) => asker?.ask(request, answer),
      mirror: async (message) => {
        sampler ??= import('./mirror/sampler.js').then(({ createSampler }) =>
          createSampler({ settings, send: (sample) => void channel.send(sample) }),
        );
        (await sampler).order(message);
      },
    },
    close: () => {
      isClosed = true;
      asker?.close();
    },
  };
}
