import type { MasterMessage } from '../../protocol/messages.js';
import type { WorkerSettings } from '../../protocol/settings.js';
import type { Channel } from '../channel.js';
import type { Servers } from '../connections/servers.js';

/** What the master asks for that has an answer of its own. */
export type Errand = Extract<MasterMessage, { type: 'probe' | 'prove' | 'evidence' }>;

export interface ErrandSeam {
  readonly servers: Pick<Servers, 'all'>;
  readonly settings: Pick<WorkerSettings, 'health' | 'listen'>;
  readonly channel: Pick<Channel, 'send'>;
}

/** What is needed for an errand is loaded with the first of its kind: most workers see none. */
export async function runErrand(errand: Errand, { servers, settings, channel }: ErrandSeam): Promise<void> {
  const { listen } = settings;
  switch (errand.type) {
    case 'probe': {
      const { probe } = await import('./probe.js');
      return channel.send({ type: 'probed', ...(await probe({ servers, listen }, errand)) });
    }
    case 'prove': {
      const { proves } = await import('./probe.js');
      const proved = await proves(
        { servers, listen },
        { path: settings.health.probe, timeout: errand.timeout },
      );
      return proved ? channel.send({ type: 'proved' }) : undefined;
    }
    case 'evidence': {
      const { writeEvidence } = await import('./evidence.js');
      const { id, path } = errand;
      return channel.send({ type: 'evidence', id, path, ...(await writeEvidence(errand)) });
    }
  }
}
