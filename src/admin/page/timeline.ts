/** Workers' lives as lanes; nothing here knows the DOM. */
import type { Lane, LanePhase } from '../api.js';

export type Phase = LanePhase['phase'];

/** A piece of a lane, in the time that is shown. */
export interface Bar {
  readonly phase: Phase;
  readonly fromMs: number;
  readonly toMs: number;
  /** 0, or 1 below it, where two processes of a slot live at once. */
  readonly track: 0 | 1;
}

/** The end of a process. */
export interface Mark {
  readonly atMs: number;
  readonly track: 0 | 1;
  readonly kind: 'drained' | 'killed' | 'boot' | 'crash' | 'hang' | 'unseen';
}

/** A slot over time; `worker` null: the spares. */
export interface Row {
  readonly worker: number | null;
  readonly bars: readonly Bar[];
  readonly marks: readonly Mark[];
}

/** Lanes that are kept: those of the last hour are at most 500, and the living ones come on top. */
const mostLanes = 600;

/** The lanes of the last hour, bounded: by process. */
export class Lanes {
  #lanes = new Map<string, Lane>();

  reset(lanes: readonly Lane[]): void {
    this.#lanes = new Map(lanes.map((lane) => [keyOf(lane), lane]));
    this.#bound();
  }

  put(lane: Lane): void {
    this.#lanes.set(keyOf(lane), lane);
    this.#bound();
  }

  all(): readonly Lane[] {
    return [...this.#lanes.values()];
  }

  /** The oldest that are over go first. */
  #bound(): void {
    let over = this.#lanes.size - mostLanes;
    for (const [key, { endMs }] of this.#lanes) {
      if (over <= 0) return;
      if (endMs === null) continue;
      this.#lanes.delete(key);
      over--;
    }
  }
}

function keyOf({ pid, generation, worker, phases }: Lane): string {
  return pid === null ? `${worker} ${generation} ${phases[0]?.fromMs}` : `${pid} ${generation}`;
}

/** What is drawn between two times: the slots in their order, the spares at the end. */
export function rowsOf(
  lanes: readonly Lane[],
  { fromMs, toMs, workers }: { readonly fromMs: number; readonly toMs: number; readonly workers: number },
): readonly Row[] {
  const bySlot = new Map<number | null, Lane[]>();
  for (let slot = 1; slot <= workers; slot++) bySlot.set(slot, []);
  for (const lane of lanes) {
    const begin = lane.phases[0]?.fromMs ?? 0;
    if (begin > toMs || (lane.endMs ?? toMs) < fromMs) continue;
    const slot = bySlot.get(lane.worker);
    if (slot === undefined) bySlot.set(lane.worker, [lane]);
    else slot.push(lane);
  }
  return [...bySlot]
    .sort(([a], [b]) => (a ?? Number.POSITIVE_INFINITY) - (b ?? Number.POSITIVE_INFINITY))
    .map(([worker, own]) => rowOf(worker, own, { fromMs, toMs }));
}

function rowOf(
  worker: number | null,
  lanes: readonly Lane[],
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
): Row {
  const bars: Bar[] = [];
  const marks: Mark[] = [];
  const free = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const sorted = [...lanes].sort((a, b) => (a.phases[0]?.fromMs ?? 0) - (b.phases[0]?.fromMs ?? 0));
  for (const { phases, endMs, ending } of sorted) {
    const begin = phases[0]?.fromMs ?? fromMs;
    const end = endMs ?? toMs;
    const track = (free[0] ?? 0) <= begin ? 0 : 1;
    free[track] = end;
    for (const [index, { phase, fromMs: at }] of phases.entries()) {
      const until = Math.min(phases[index + 1]?.fromMs ?? end, toMs);
      const from = Math.max(at, fromMs);
      if (until > from) bars.push({ phase, fromMs: from, toMs: until, track });
    }
    if (endMs !== null && endMs >= fromMs && endMs <= toMs) {
      marks.push({ atMs: endMs, track, kind: ending?.kind ?? 'unseen' });
    }
  }
  return { worker, bars, marks };
}

/** An entry of the list that says the lanes in words. */
export interface Moment {
  readonly key: string;
  readonly atMs: number;
  readonly worker: number | null;
  readonly pid: number | null;
  readonly what: string;
  readonly cause: string | null;
  readonly bad: boolean;
}

const endings: Readonly<Record<Mark['kind'], string>> = {
  drained: 'ended as it was to',
  killed: 'was killed by the master',
  boot: 'did not start',
  crash: 'crashed',
  hang: 'hung and was killed',
  unseen: 'ended',
};

const beginnings: Readonly<Record<Phase, string>> = {
  starting: 'started',
  spare: 'waits as a spare',
  ready: 'is ready',
  draining: 'drains',
  dying: 'is being killed',
};

/** What became of the workers, the newest first. */
export function momentsOf(lanes: readonly Lane[], most: number): readonly Moment[] {
  const moments: Moment[] = [];
  for (const { worker, pid, generation, phases, endMs, ending } of lanes) {
    for (const { phase, fromMs, reason } of phases) {
      moments.push({
        key: `${pid} ${generation} ${phase} ${fromMs}`,
        atMs: fromMs,
        worker,
        pid,
        what: phase === 'starting' ? `started, generation ${generation}` : beginnings[phase],
        cause: reason,
        bad: reason !== null || phase === 'dying',
      });
    }
    if (endMs === null) continue;
    const kind = ending?.kind ?? 'unseen';
    const lost = ending?.lost ?? 0;
    moments.push({
      key: `${pid} ${generation} end`,
      atMs: endMs,
      worker,
      pid,
      what: endings[kind],
      cause:
        [
          ending?.cause ?? null,
          exitWords(ending?.code ?? null, ending?.signal ?? null, kind),
          lost === 0 ? null : `${lost} ${lost === 1 ? 'request' : 'requests'} lost`,
        ]
          .filter((part) => part !== null)
          .join(' · ') || null,
      bad: kind !== 'drained' && kind !== 'unseen',
    });
  }
  return moments.sort((a, b) => b.atMs - a.atMs).slice(0, most);
}

function exitWords(code: number | null, signal: string | null, kind: Mark['kind']): string | null {
  if (signal !== null) return signal;
  return code === null || (code === 0 && kind === 'drained') ? null : `exit status ${code}`;
}
