import type { Millis } from '../protocol/limits.js';
import { backoff, intensity } from './backoff.js';
import { type Death, deathEntry, recorded } from './deaths.js';
import { changeSlot, findSlot, waitingSpare } from './fork.js';
import type { Slot, State } from './model.js';
import { isOwnFault, mark } from './poison.js';
import type { Policy } from './policy.js';
import { random } from './random.js';
import { countRequests, note } from './record.js';
import type { Reload } from './reload-model.js';
import { chain, findWorker, log, type Result, unchanged } from './result.js';
import { rollBack, trialOf } from './rollback.js';
import { isFilled } from './slots.js';
import { servedSlots, tellStatus } from './status.js';
import { beginStop } from './stop.js';
import { nameOf } from './worker.js';

interface Dying {
  readonly death: Death;
  readonly now: Millis;
  readonly policy: Policy;
}

/** A death that nobody asked for. That of a generation on trial is the end of the trial, and counts nowhere else. */
export function died(state: State, dying: Dying): Result {
  const { death, now, policy } = dying;
  const reload = trialOf(state, death.worker);
  const kept = recorded(state, death, now);
  const told = reload === null ? replace(kept, dying) : endTrial(kept, reload, dying);
  // What kills workers that boot are not the requests.
  if (death.kind === 'boot' || death.isOpen || !isOwnFault(death)) return told;
  return chain(told, (next) => mark(next, death.requests, now, policy));
}

function endTrial(state: State, reload: Reload, { death, now }: Dying): Result {
  const { worker, cause, kind } = death;
  const noted = chain([state, [deathEntry(death, now, null)]], (next) =>
    note(next, now, { step: 'died', worker, detail: kind === 'hang' ? `hung: ${cause}` : cause }),
  );
  const counted = chain(noted, (next) =>
    // One that still answers what it has is counted at its end.
    findWorker(next, worker.key) !== undefined
      ? unchanged(next)
      : countRequests(next, reload.target, { lost: worker.beat?.inFlight ?? 0 }),
  );
  const what = { boot: 'could not start', crash: 'died', hang: 'hung' }[kind];
  const reason = `${nameOf(worker)} of generation ${reload.target} ${what}: ${cause}`;
  return chain(counted, (next) => rollBack(next, reason, now));
}

/** Another worker after the backoff, or the end where there were too many deaths. */
function replace(state: State, { death, now, policy }: Dying): Result {
  const isLasting = death.worker.failure?.lasting === true;
  // Another master would do better, but those that serve do better than none.
  if (isLasting && servedSlots(state) === 0) return giveUp(state, death.cause, { death, now, policy });
  const { deaths, exceeded } = isLasting
    ? { deaths: state.deaths, exceeded: false }
    : intensity(state.deaths, { now, restart: policy.restart });
  const counted = { ...state, deaths };
  if (exceeded) return tooMany(counted, { death, now, policy });
  if (death.worker.slot === 0) return spareLost(counted, { death, now, policy });
  const slot = findSlot(state, death.worker.slot);
  // Without a way back the next try is due though the old worker still serves.
  const again = state.reload?.rollback === false && death.worker.generation === state.reload.target;
  // It was being replaced, or is not wanted any more.
  if (slot === undefined || (isFilled(state, slot.id) && !again)) {
    return [counted, [deathEntry(death, now, null)]];
  }
  return refill(counted, slot, { death, now, policy });
}

function refill(state: State, slot: Slot, { death, now, policy }: Dying): Result {
  const kind = death.kind === 'boot' ? 'boot' : 'crash';
  const before = kind === 'crash' ? slot.crashes : slot.bootFailures;
  const failures = (wasStable(death, now, policy) ? 0 : before) + 1;
  const [value, seed] = random(state.seed);
  // A spare has booted already: what it saves is not to be waited for.
  const isAtOnce = kind === 'crash' && waitingSpare(state, state.generation) !== undefined;
  const delay = isAtOnce ? 0 : backoff(kind, { failures, random: value, restart: policy.restart });
  const next = changeSlot({ ...state, seed, restarts: state.restarts + 1 }, slot.id, {
    restarts: slot.restarts + 1,
    forkAt: now + delay,
    ...(kind === 'crash' ? { crashes: failures } : { bootFailures: failures }),
  });
  return chain([next, [deathEntry(death, now, delay)]], (state) => tellStatus(state, now, {}));
}

/** The next one waits as after a death before listening: nobody misses it that much. */
function spareLost(state: State, { death, now, policy }: Dying): Result {
  const isFirst = now - death.worker.forkedAt >= policy.restart.window;
  const failures = (isFirst ? 0 : state.spares.failures) + 1;
  const [value, seed] = random(state.seed);
  const delay = backoff('boot', { failures, random: value, restart: policy.restart });
  const spares = { ...state.spares, failures, forkAt: now + delay };
  const told: Result = [{ ...state, seed, spares }, [deathEntry(death, now, delay)]];
  return chain(told, (next) => tellStatus(next, now, {}));
}

function tooMany(state: State, { death, now, policy }: Dying): Result {
  const within = Math.round(policy.restart.window / 1000);
  const why = `too many restarts: ${state.deaths.length} within ${within} s; the last: ${lastOf(death)}`;
  return giveUp(state, why, { death, now, policy });
}

/** Ends the service: its service manager starts another master. */
function giveUp(state: State, why: string, { death, now, policy }: Dying): Result {
  const stopped = beginStop(state, { why, exitCode: policy.exits.tooManyRestarts, now, policy });
  return chain([state, [deathEntry(death, now, null), log('error', why)]], () => stopped);
}

function lastOf({ kind, cause }: Death): string {
  return kind === 'hang' ? `hung: ${cause}` : cause;
}

/** A worker that served for longer than the window makes the next crash a first one. */
function wasStable({ kind, worker }: Death, now: Millis, policy: Policy): boolean {
  return kind !== 'boot' && now - worker.placedAt >= policy.restart.window;
}
