/** What the page has of the admin process: its state, its stream, its commands. */
import {
  type AdminAnswers,
  type AdminCommands,
  type AdminEvents,
  type AdminState,
  guardHeader,
  type JobHistory,
} from '../api.js';

export interface Listener {
  state(state: AdminState): void;
  event<K extends keyof AdminEvents>(name: K, data: AdminEvents[K]): void;
  /** `login`: the cookie is no longer valid. */
  link(state: 'live' | 'broken' | 'login'): void;
}

const names = [
  ...(['daemon', 'stats', 'sample', 'event', 'lane', 'log', 'evidence'] as const),
  ...(['operations', 'deploy'] as const),
];

/** Without a word for so long the stream is taken for dead, ms: a sample comes each second, and a comment where none does. */
const silence = 20_000;
const firstPause = 500;
const longestPause = 5_000;

/**
 * Keeps the page in touch: asks for the state, listens from there on, and begins again when the stream breaks, at first
 * after half a second, then more seldom.
 */
export class Link {
  readonly #listener: Listener;
  #source: EventSource | null = null;
  #pause = firstPause;
  #timer: number | undefined;
  #watch: number | undefined;

  constructor(listener: Listener) {
    this.#listener = listener;
    // A phone that wakes up, a laptop that is online again: at once, not after the pause.
    addEventListener('online', () => this.#again(0));
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && this.#source === null) this.#again(0);
    });
  }

  async start(): Promise<void> {
    try {
      const answer = await fetch('api/state', { signal: AbortSignal.timeout(10_000) });
      if (answer.status === 401 || answer.status === 403) return this.#listener.link('login');
      if (!answer.ok) throw new Error(`the admin process answers ${answer.status}`);
      const state = (await answer.json()) as AdminState;
      this.#listener.state(state);
      this.#listen(state.lastEventId);
    } catch {
      this.#broken();
    }
  }

  #listen(after: string): void {
    this.#source?.close();
    const source = new EventSource(`api/events?after=${encodeURIComponent(after)}`);
    this.#source = source;
    const alive = (): void => {
      clearTimeout(this.#watch);
      this.#watch = window.setTimeout(() => this.#broken(), silence);
    };
    alive();
    source.addEventListener('open', () => {
      this.#pause = firstPause;
      this.#listener.link('live');
      alive();
    });
    for (const name of names) {
      source.addEventListener(name, (event) => {
        alive();
        this.#listener.event(name, JSON.parse((event as MessageEvent<string>).data));
      });
    }
    source.addEventListener('reset', () => this.#again(0));
    // The state is asked for anew: another admin process may be behind the address, whose ids are others.
    source.addEventListener('error', () => this.#broken());
  }

  #broken(): void {
    this.#listener.link('broken');
    this.#again(this.#pause);
    this.#pause = Math.min(this.#pause * 2, longestPause);
  }

  #again(after: number): void {
    this.#source?.close();
    this.#source = null;
    clearTimeout(this.#watch);
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => void this.start(), after);
  }
}

type Route = keyof AdminCommands;
type Refused = { readonly accepted: false; readonly reason: string };

/** Asks the daemon for something. Never rejects: what goes wrong is a refusal with its reason. */
export async function command<R extends Route>(
  route: R,
  body: AdminCommands[R],
  /** Number of the worker, or name of the job, in the place of N. */
  which?: number | string,
): Promise<AdminAnswers[R] | Refused> {
  try {
    const answer = await fetch(
      route.replace(/^\//, '').replace('/N/', `/${encodeURIComponent(which ?? '')}/`),
      {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', [guardHeader]: '1' },
        body: JSON.stringify(body),
      },
    );
    const told: unknown = await answer.json().catch(() => null);
    if (isAnswer(told)) return told as AdminAnswers[R];
    return { accepted: false, reason: errorOf(told) ?? `the admin process answers ${answer.status}` };
  } catch {
    return { accepted: false, reason: 'the admin process does not answer' };
  }
}

function isAnswer(told: unknown): told is { readonly accepted: boolean } {
  return (
    typeof told === 'object' && told !== null && 'accepted' in told && typeof told.accepted === 'boolean'
  );
}

function errorOf(told: unknown): string | null {
  if (typeof told !== 'object' || told === null || !('error' in told)) return null;
  const { error } = told;
  if (typeof error !== 'object' || error === null || !('message' in error)) return null;
  return String(error.message);
}

/** The runs of a job and the output of one; @param run null: of the last. Never rejects: null where the daemon does not give it. */
export async function jobHistory(job: string, run: string | null): Promise<JobHistory | null> {
  const query = run === null ? '' : `?run=${encodeURIComponent(run)}`;
  try {
    const answer = await fetch(`api/jobs/${encodeURIComponent(job)}/log${query}`);
    return answer.ok ? ((await answer.json()) as JobHistory) : null;
  } catch {
    return null;
  }
}

/** Path of a file of evidence, to download. */
export function evidencePath(name: string): string {
  return `api/evidence/${encodeURIComponent(name)}`;
}
