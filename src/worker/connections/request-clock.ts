/** So many requests are timed, one by one, between two calls of `renew()`. */
const timedSingly = 64;
/** Of further ones each of so many. */
const step = 8;

/**
 * When requests begin. To read the clock twice a request costs 1 to 2 percent of a small one, so that of many only some
 * are timed, each for all of its step. What is not timed is taken to have begun when the clock was read last: some
 * requests ago, or in a worker that has fallen silent since at most as long ago as the last `renew()`.
 */
export class RequestClock {
  /** When the latest request began, ms of performance.now(). */
  begun: number;
  /** For how many answers it stands with the time that it takes; 0: it is not timed. */
  weight = 1;
  #singly = timedSingly;
  #passed = 0;
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
    this.begun = now();
  }

  /** A request begins. */
  begin(): void {
    if (this.#singly > 0) {
      this.#singly--;
      this.begun = this.#now();
      this.weight = 1;
    } else if (++this.#passed === step) {
      this.#passed = 0;
      this.begun = this.#now();
      this.weight = step;
    } else {
      this.weight = 0;
    }
  }

  /** How long one has taken that is timed, ms. */
  since(begun: number): number {
    return this.#now() - begun;
  }

  /** To be called with every beat. */
  renew(): void {
    this.#singly = timedSingly;
    this.begun = this.#now();
  }
}
