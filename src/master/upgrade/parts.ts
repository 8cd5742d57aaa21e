import type { WhyLine } from '../../protocol/why.js';
import { boundsOf } from '../../settings/worker-count.js';
import type { Parts } from '../serve.js';
import { after, now } from '../system.js';
import { type UpgradeLog, whyNever, whyNotNow } from './service.js';
import type { Gate } from './successor.js';
import type { UpgradesSeam } from './upgrade.js';

/** What an upgrade needs of the master that serves. */
export function seamOf(
  parts: Parts,
  { gate, log: { info, warn } }: { readonly gate: Gate; readonly log: UpgradeLog },
): UpgradesSeam {
  const { mailbox, serviceManager, config, jobs, deploys, door, record, kept, sockets } = parts;
  const { state, post } = mailbox;
  return {
    ...{ state, post, now, after, info, warn },
    policy: () => {
      const { bootTimeout, drainTimeout, reload } = parts.policyFor(state());
      return { ...reload, bootTimeout, drainTimeout };
    },
    urls: parts.addresses.urls,
    refuse: () =>
      whyNever(serviceManager, config, process) ??
      whyNotNow(state(), { jobs: jobs.running(), deploy: deploys.summary()?.underWay ?? null }),
    sockets: () => {
      const listeners = kept.passable();
      if ('reason' in listeners) return listeners;
      const passed = [...sockets.app, ...(sockets.control === null ? [] : [sockets.control])];
      return { listeners, passed: passed.map(({ fd, name }) => ({ fd, name })) };
    },
    isAuto: () => isRange(config.workers) && !state().scaling.held,
    handOver: (pid) => {
      serviceManager.notify({ mainPid: pid });
      gate.shut();
    },
    leave: async ({ pid, by }) => {
      record.add(tookOver({ pid, by }));
      parts.left.isSo = true;
      parts.watches.end();
      deploys.end();
      await Promise.all([jobs.leave(), door.leave(), record.settled()]);
    },
    hurry: (why) => {
      post({ type: 'stop', why, now: false });
      parts.successor.hurry(why);
    },
    letGo: kept.letGo,
  };
}

/** What a master that is to take another's place does as that says. */
export function connectSuccessor(parts: Parts, { info }: Pick<UpgradeLog, 'info'>): void {
  const { mailbox, successor, kept } = parts;
  let request = -1;
  const scale = (change: { readonly to: number } | { readonly auto: true }): void =>
    mailbox.post({ type: 'scale', request: request--, by: 'the master before', change });
  successor.connect({
    post: mailbox.post,
    scale: (to) => scale({ to }),
    follow: () => scale({ auto: true }),
    urls: parts.addresses.urls,
    dropUnclaimed: kept.dropUnclaimed,
    askHeartbeat: (key) => parts.pool.send(key, { type: 'heartbeat' }),
    now,
    every: (ms, act) => {
      const timer = setInterval(act, ms).unref();
      return () => clearInterval(timer);
    },
    info,
  });
}

/** The last word of this master in the record: without it `why` takes the master for one that was killed. */
function tookOver({ pid, by }: { readonly pid: number; readonly by: string }): WhyLine {
  return {
    at: new Date().toISOString(),
    ...{ worker: null, pid: process.pid, generation: null, kind: 'exit' },
    text: `process ${pid} takes the place of this one; connections of its workers go on`,
    cause: `an upgrade, asked for by ${by}`,
    advice: null,
  };
}

function isRange(workers: Parameters<typeof boundsOf>[0]): boolean {
  const { min, max } = boundsOf(workers);
  return min !== max;
}
