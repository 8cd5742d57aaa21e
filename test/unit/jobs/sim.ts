import { type Calendar, calendarOf } from '../../../src/jobs/due.js';
import { initialState, nextDeadline, step } from '../../../src/jobs/policy.js';
import type { Ending, JobsEffect, JobsEvent, JobsState, Run } from '../../../src/jobs/state.js';
import type { JobRun } from '../../../src/protocol/jobs.js';
import type { JobConfig } from '../../../src/settings/jobs.js';

export function jobConfig(change: Partial<JobConfig> = {}): JobConfig {
  return {
    ...{ name: 'report', schedule: '0 2 * * *', timezone: 'UTC' },
    work: { kind: 'command', command: ['/bin/true'] },
    ...{ timeout: 3_600_000, overlap: 'skip', missed: 'once', retries: 0, backoff: 1_000, jitter: 0 },
    ...{ memoryLimit: null, onStop: 'wait', onLost: 'report', env: {}, enabled: true },
    ...change,
  };
}

/** How each attempt ends, and after how many ms; null: it never ends by itself. */
export type Behaviour = (run: {
  readonly job: string;
  readonly attempt: number;
}) => { readonly afterMs: number; readonly code: number } | null;

export interface SimOptions {
  readonly startMs: number;
  readonly jobs: readonly JobConfig[];
  readonly handled?: Readonly<Record<string, number>>;
  readonly behaviour?: Behaviour;
  /** How long a run takes to end after SIGTERM, ms; null: it ignores it. */
  readonly dies?: number | null;
}

/** The policy with a simulated clock and processes on paper; due times are handed back at once. */
export class JobsSim {
  wallMs: number;
  ms = 1_000;
  state: JobsState = initialState(1);
  readonly effects: JobsEffect[] = [];
  /** In the order in which they began: the due time, or null. */
  readonly started: { job: string; atMs: number; dueMs: number | null; attempt: number }[] = [];
  readonly over: JobRun[] = [];
  readonly handedOn: { job: string; dueMs: number; missed: number }[] = [];
  steps = 0;
  /** null: hands back; otherwise the error with which a due time is refused. */
  refuses: string | null = null;
  #ends = new Map<string, { at: number; ending: Ending }>();
  #calendars = new Map<string, Calendar>();
  #serial = 0;
  readonly #options: SimOptions;

  constructor(options: SimOptions) {
    this.#options = options;
    this.wallMs = options.startMs;
    this.post({ type: 'configure', jobs: options.jobs, handled: options.handled ?? {} });
  }

  post(event: JobsEvent): void {
    const queue: JobsEvent[] = [event];
    for (let each = queue.shift(); each !== undefined; each = queue.shift()) {
      this.steps += 1;
      const [next, effects] = step(this.state, each, { wallMs: this.wallMs, ms: this.ms }, (config) =>
        this.#calendar(config),
      );
      this.state = next;
      this.effects.push(...effects);
      for (const effect of effects) queue.push(...this.#perform(effect));
    }
  }

  ask(job = 'report'): string {
    const id = `asked-${++this.#serial}`;
    this.post({ type: 'run', id, job, due: null, by: 'test' });
    return id;
  }

  /** Lets the time pass, with a wake-up at each deadline. */
  pass(ms: number): void {
    const until = this.ms + ms;
    for (;;) {
      const delay = nextDeadline(this.state, { wallMs: this.wallMs, ms: this.ms });
      const ends = [...this.#ends.values()].map(({ at }) => at);
      const next = Math.min(until, ...ends, delay === null ? until : this.ms + delay);
      this.wallMs += next - this.ms;
      this.ms = next;
      const [ended] = [...this.#ends].filter(([, { at }]) => at <= this.ms).sort((a, b) => a[1].at - b[1].at);
      if (ended !== undefined) {
        this.#ends.delete(ended[0]);
        this.post({ type: 'exited', id: ended[0], ending: ended[1].ending });
      } else if (delay !== null && nextDeadline(this.state, { wallMs: this.wallMs, ms: this.ms }) === 0) {
        this.post({ type: 'tick' });
      } else if (this.ms >= until) return;
    }
  }

  /** The machine sleeps: the wall's clock goes on, the monotonic one does not. */
  sleep(ms: number): void {
    this.wallMs += ms;
    this.post({ type: 'tick' });
  }

  run(id: string): Run | undefined {
    return this.state.runs.find((each) => each.id === id);
  }

  logs(level: 'info' | 'warn' | 'error'): readonly string[] {
    return this.effects.flatMap((each) =>
      each.type === 'log' && each.level === level ? [each.message] : [],
    );
  }

  #calendar(config: JobConfig): Calendar {
    const key = `${config.schedule}|${config.timezone}`;
    const known = this.#calendars.get(key) ?? calendarOf(config);
    this.#calendars.set(key, known);
    return known;
  }

  #perform(effect: JobsEffect): readonly JobsEvent[] {
    switch (effect.type) {
      case 'hand-on': {
        const { due } = effect;
        if (this.refuses !== null) return [{ type: 'not-handed', due, error: this.refuses }];
        this.handedOn.push(due);
        const id = `${due.job}@${due.dueMs}`;
        return [{ type: 'run', id, job: due.job, due, by: 'schedule' }];
      }
      case 'start': {
        const { id, config, due, attempt } = effect;
        this.started.push({
          ...{ job: config.name, atMs: this.wallMs, dueMs: due?.dueMs ?? null, attempt },
        });
        const behaviour = this.#options.behaviour ?? (() => ({ afterMs: 10, code: 0 }));
        const ends = behaviour({ job: config.name, attempt });
        if (ends !== null) this.#ends.set(id, { at: this.ms + ends.afterMs, ending: ended(ends.code) });
        return [];
      }
      case 'signal': {
        const { dies = 5 } = this.#options;
        if (effect.signal === 'SIGKILL')
          this.#ends.set(effect.id, { at: this.ms + 1, ending: ended(null, 'SIGKILL') });
        else if (dies !== null)
          this.#ends.set(effect.id, { at: this.ms + dies, ending: ended(null, 'SIGTERM') });
        return [];
      }
      case 'over':
        this.over.push(effect.run);
        return [];
      case 'log':
      case 'handled':
      case 'unhandled':
      case 'forget':
        return [];
    }
  }
}

export function ended(code: number | null, signal: string | null = null): Ending {
  return { code, signal, outOfMemory: false, notStarted: null, outputBytes: 0 };
}
