import type { Served } from '../protocol/heartbeat.js';
import type { Millis } from '../protocol/limits.js';
import type { FromNext } from '../protocol/upgrade.js';
import { worse } from './canary.js';
import type { ReloadPolicy } from './policy.js';

/*
 * The upgrade of the daemon under live connections, as the master sees it that is to be replaced:
 *
 *   starting ──▶ soaking ──▶ growing ──▶ handing-over ──▶ done
 *       └───────────┴───────────┴──▶ withdrawing ──▶ rolled-back
 *
 * Until `handing-over` this master serves as if nothing had been, and whatever goes wrong ends the next one. With it the
 * service manager is told the PID of the next one, from which there is no way back: only the main process may say so.
 */

export type Upgrade = {
  readonly startedAt: Millis;
  /** Of the next master; null until it has said so. */
  readonly pid: number | null;
  /** Where this service listens, all of which the next one has to. */
  readonly urls: readonly string[];
} & Phase;

type Phase =
  /** The next one boots its first worker. */
  | { readonly name: 'starting'; readonly deadline: Millis }
  /** That worker serves, and is compared with those of this master. */
  | { readonly name: 'soaking'; readonly until: Millis; readonly deadline: Millis }
  /** The next one boots the other workers. */
  | { readonly name: 'growing'; readonly deadline: Millis }
  | { readonly name: 'handing-over'; readonly deadline: Millis }
  /** The next one ends, without an effect on the service. */
  | {
      readonly name: 'withdrawing';
      readonly reason: string;
      readonly deadline: Millis;
      readonly killed: boolean;
    }
  | { readonly name: 'done'; readonly trouble: string | null }
  | { readonly name: 'rolled-back'; readonly reason: string };

export type UpgradeEvent =
  /** `others`: what the workers here have answered meanwhile; `blocked`: what goes on that must not be interrupted. */
  | {
      readonly type: 'said';
      readonly message: FromNext;
      readonly others: Served;
      readonly blocked: string | null;
    }
  /** The next master is gone. */
  | { readonly type: 'gone' }
  /** Somebody or something ends the upgrade. */
  | { readonly type: 'end'; readonly reason: string }
  | { readonly type: 'tick' };

export type UpgradeEffect =
  | { readonly type: 'step'; readonly text: string }
  | { readonly type: 'grow' }
  | { readonly type: 'hand-over' }
  | { readonly type: 'withdraw'; readonly reason: string }
  | { readonly type: 'kill' }
  /** The next one serves: this one is to retire. */
  | { readonly type: 'retire' };

export interface UpgradePolicy extends Pick<ReloadPolicy, 'soak' | 'maxErrors' | 'maxLatency'> {
  /** What one worker may take to boot. */
  readonly bootTimeout: Millis;
  readonly drainTimeout: Millis;
}

/** What a process takes to start and to speak, beyond what it does then. */
const startGrace: Millis = 60_000;
/** How long the next one may take to say that it has taken over. */
const handOverLimit: Millis = 30_000;

export function beginUpgrade(
  now: Millis,
  { urls, policy }: { readonly urls: readonly string[]; readonly policy: UpgradePolicy },
): Upgrade {
  const deadline = now + policy.bootTimeout + startGrace;
  return { name: 'starting', startedAt: now, pid: null, urls, deadline };
}

/** Whether it can still be given up. */
export function isRevocable({ name }: Upgrade): boolean {
  return name === 'starting' || name === 'soaking' || name === 'growing';
}

export function isOver({ name }: Upgrade): boolean {
  return name === 'done' || name === 'rolled-back';
}

/** When it has to look at the clock next. */
export function upgradeDeadline(upgrade: Upgrade): Millis | null {
  return 'deadline' in upgrade ? upgrade.deadline : null;
}

/** What follows from an event: the new state, and what is to be done. */
export function stepUpgrade(
  upgrade: Upgrade,
  event: UpgradeEvent,
  now: Millis,
  policy: UpgradePolicy,
): readonly [Upgrade, readonly UpgradeEffect[]] {
  if (isOver(upgrade)) return [upgrade, []];
  switch (event.type) {
    case 'said':
      return said(upgrade, event, now, policy);
    case 'gone':
      return gone(upgrade);
    case 'end':
      return isRevocable(upgrade) ? withdraw(upgrade, event.reason, now, policy) : [upgrade, []];
    case 'tick':
      return tick(upgrade, now, policy);
  }
}

type Outcome = readonly [Upgrade, readonly UpgradeEffect[]];

function said(
  upgrade: Upgrade,
  { message, others, blocked }: Extract<UpgradeEvent, { type: 'said' }>,
  now: Millis,
  policy: UpgradePolicy,
): Outcome {
  switch (message.type) {
    case 'hello': {
      const text = `process ${message.pid}: rom-agent ${message.version}, Node.js ${message.node}`;
      return [{ ...upgrade, pid: message.pid }, [{ type: 'step', text }]];
    }
    case 'failed':
      return isRevocable(upgrade) ? withdraw(upgrade, message.reason, now, policy) : [upgrade, []];
    case 'ready': {
      if (upgrade.name !== 'starting') return [upgrade, []];
      const missing = upgrade.urls.filter((url) => !message.urls.includes(url));
      if (missing.length > 0)
        return withdraw(
          upgrade,
          `it does not listen on ${missing.join(', ')}, but on ${message.urls.join(', ') || 'nothing'}`,
          now,
          policy,
        );
      const until = now + policy.soak;
      const text = `its first worker serves, and is watched for ${policy.soak / 1_000} s`;
      return [{ ...upgrade, name: 'soaking', until, deadline: until + startGrace }, [{ type: 'step', text }]];
    }
    case 'served': {
      if (upgrade.name !== 'soaking' && upgrade.name !== 'growing') return [upgrade, []];
      if (message.deaths > 0) return withdraw(upgrade, 'a worker of it died', now, policy);
      const fault = worse(message.served, others, policy);
      if (fault !== null) return withdraw(upgrade, fault, now, policy);
      // The last word is the canary's own.
      if (upgrade.name === 'growing' || now - message.ageMs < upgrade.until) return [upgrade, []];
      const text = `soaked: ${message.served.answers} answers, no worse than those of the old workers`;
      const deadline = now + policy.bootTimeout + startGrace;
      return [{ ...upgrade, name: 'growing', deadline }, [{ type: 'step', text }, { type: 'grow' }]];
    }
    case 'grown':
      if (upgrade.name !== 'growing') return [upgrade, []];
      if (blocked !== null) return withdraw(upgrade, blocked, now, policy);
      return [
        { ...upgrade, name: 'handing-over', deadline: now + handOverLimit },
        [{ type: 'step', text: 'all of its workers serve' }, { type: 'hand-over' }],
      ];
    case 'taken':
      if (upgrade.name !== 'handing-over') return [upgrade, []];
      return done(upgrade, null);
    // It concerns what goes on after the upgrade.
    case 'stop':
      return [upgrade, []];
  }
}

function gone(upgrade: Upgrade): Outcome {
  if (upgrade.name === 'withdrawing') return rolledBack(upgrade, upgrade.reason);
  // The service manager sees it as well, and starts the service anew.
  if (upgrade.name === 'handing-over') return done(upgrade, 'it ended as it took over');
  return rolledBack(upgrade, 'it ended: the log says why');
}

function tick(upgrade: Upgrade, now: Millis, policy: UpgradePolicy): Outcome {
  const deadline = upgradeDeadline(upgrade);
  if (deadline === null || now < deadline) return [upgrade, []];
  switch (upgrade.name) {
    case 'withdrawing':
      if (upgrade.killed) return rolledBack(upgrade, upgrade.reason);
      return [{ ...upgrade, killed: true, deadline: now + handOverLimit }, [{ type: 'kill' }]];
    case 'handing-over':
      return done(upgrade, 'it did not say that it has taken over');
    case 'starting':
      return withdraw(upgrade, 'its first worker did not get ready in time', now, policy);
    case 'soaking':
      return withdraw(upgrade, 'it fell silent', now, policy);
    default:
      return withdraw(upgrade, 'its workers did not get ready in time', now, policy);
  }
}

function withdraw(upgrade: Upgrade, reason: string, now: Millis, { drainTimeout }: UpgradePolicy): Outcome {
  const deadline = now + drainTimeout + startGrace;
  return [
    { ...upgrade, name: 'withdrawing', reason, deadline, killed: false },
    [
      { type: 'step', text: `rolled back: ${reason}` },
      { type: 'withdraw', reason },
    ],
  ];
}

function rolledBack({ startedAt, pid, urls }: Upgrade, reason: string): Outcome {
  return [{ startedAt, pid, urls, name: 'rolled-back', reason }, []];
}

function done({ startedAt, pid, urls }: Upgrade, trouble: string | null): Outcome {
  return [{ startedAt, pid, urls, name: 'done', trouble }, [{ type: 'retire' }]];
}
