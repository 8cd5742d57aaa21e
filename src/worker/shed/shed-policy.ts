import type { Millis } from '../../protocol/limits.js';

export interface ShedLimits {
  /** For how long a request may have waited for others, ms; 0: for as long as it takes. */
  readonly eventLoopDelay: Millis;
  /** Requests in flight; 0: any number. */
  readonly inFlight: number;
}

export interface Arrival {
  /** ms */
  readonly now: Millis;
  /** How long the event loop has worked since it began, without its waits for events, ms. */
  readonly worked: Millis;
  /** Requests in flight, this one included. */
  readonly inFlight: number;
  /** How long a connection that is accepted now has waited for that, ms. */
  readonly queued: Millis;
}

/** `late`: it may have waited for too long; `full`: too many are in flight. */
export type Verdict = 'serve' | 'late' | 'full';

/** After the last request that was late, the worker counts as overloaded for this long. */
const rest: Millis = 1_000;

/**
 * Decides which requests are shed. Pure: time is an argument.
 *
 * When a request reached this process is not known. But it could be read when the event loop last polled, or it came while
 * the turn before ran. So it has waited at most for the turn before and for what this turn has done so far. Of both the
 * longest step is left out, which is one callback: a single stall is not overload, and those who waited for it are served.
 *
 * A burst makes one long turn, and then all is well. So a request is first shed in a turn that has itself done more than
 * the limit; from then on, until none was shed for a second, the turn before counts as well. Then turns stay at about half
 * of the limit, however many requests come. One request is served within each limit's time, whatever it has waited: where
 * the process gets too little CPU all are late, and to serve none would help nobody.
 */
export class ShedPolicy {
  readonly #limits: ShedLimits;
  /** When this turn began, when its last step ended, and its longest step, all in ms of work. */
  #begun: Millis = 0;
  #mark: Millis = 0;
  #longest: Millis = 0;
  /** What the turn before did without its longest step. */
  #before: Millis = 0;
  #overloadedUntil: Millis = Number.NEGATIVE_INFINITY;
  #servedAt: Millis = Number.NEGATIVE_INFINITY;

  constructor(limits: ShedLimits) {
    this.#limits = limits;
  }

  /** A turn of the event loop has ended, and another begins. */
  turned(worked: Millis): void {
    this.#before = this.#pieces(worked);
    this.#begun = worked;
    this.#mark = worked;
    this.#longest = 0;
  }

  judge({ now, worked, inFlight, queued }: Arrival): Verdict {
    const { eventLoopDelay, inFlight: most } = this.#limits;
    const done = this.#pieces(worked);
    if (eventLoopDelay > 0) {
      const behind = done + (now < this.#overloadedUntil ? this.#before : 0);
      if (behind > eventLoopDelay || queued > eventLoopDelay) {
        this.#overloadedUntil = now + rest;
        if (now - this.#servedAt < eventLoopDelay) return 'late';
      }
    }
    if (most > 0 && inFlight > most) return 'full';
    this.#servedAt = now;
    return 'serve';
  }

  /** What this turn has done without its longest step. What ran since the last call is one step. */
  #pieces(worked: Millis): Millis {
    this.#longest = Math.max(this.#longest, worked - this.#mark);
    this.#mark = worked;
    return Math.max(0, worked - this.#begun - this.#longest);
  }
}

/**
 * How long connections wait in the queue of a listening socket, by how many are in it and how much work each makes: the
 * kernel tells of none when it came. A worker accepts one connection a turn, so that a long queue makes no turn long.
 */
export class QueueWait {
  /** How long this worker works for each connection that it accepts, averaged over the last ones, ms. */
  #each: Millis = 0;
  #worked: Millis;
  #accepted: number;

  constructor(worked: Millis, accepted: number) {
    this.#worked = worked;
    this.#accepted = accepted;
  }

  look({ worked, waiting, accepted, workers }: QueueLook): Millis {
    const each = (worked - this.#worked) / Math.max(1, accepted - this.#accepted);
    this.#each = this.#each === 0 ? each : this.#each + (each - this.#each) * share;
    this.#worked = worked;
    this.#accepted = accepted;
    // As in a turn, one step of each worker is left out.
    return (Math.max(0, waiting - workers) * this.#each) / workers;
  }
}

export interface QueueLook {
  /** As in Arrival. */
  readonly worked: Millis;
  /** Connections in the queue. */
  readonly waiting: number;
  /** By this worker since its start. */
  readonly accepted: number;
  /** That accept from the same queue. */
  readonly workers: number;
}

/** Of the newest look in the average. */
const share = 0.25;
