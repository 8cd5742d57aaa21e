import type { ControlEvent } from '../protocol/control-api.js';
import type { ClusterStats } from '../protocol/stats.js';
import type { WhyLine } from '../protocol/why.js';
import type { Lane, LanePhase } from './api.js';

type WorkerEvent = Extract<ControlEvent, { type: 'worker' }>;
type Phase = LanePhase['phase'];

/** The lives of the workers' processes: see Lane. */
export interface Lanes {
  /** By their start, oldest first. */
  list(): readonly Lane[];
  /** @returns the lane as it is then; null where there is nothing to draw yet, for there is no process */
  heard(event: WorkerEvent, atMs: number): Lane | null;
  /** The daemon's view: what has no lane gets one, and whoever is not there any more has ended unseen. */
  saw(stats: ClusterStats, atMs: number): void;
  /** The lives before this server started, from the daemon's record. */
  recall(lines: readonly WhyLine[], sinceMs: number): void;
}

const mostLanes = 500;

export function createLanes(): Lanes {
  // By PID: a PID that is used again belongs to a new lane, since the old one has ended.
  let lanes: Lane[] = [];
  const alive = (pid: number | null): number =>
    pid === null ? -1 : lanes.findLastIndex((lane) => lane.pid === pid && lane.endMs === null);
  const put = (index: number, lane: Lane): Lane => {
    if (index === -1) lanes.push(lane);
    else lanes[index] = lane;
    if (lanes.length > mostLanes) lanes = lanes.slice(-mostLanes);
    return lane;
  };

  return {
    list: () => [...lanes].sort((a, b) => startOf(a) - startOf(b)),
    heard: ({ worker, pid, generation, phase, reason, ending }, atMs) => {
      if (pid === null) return null;
      const index = alive(pid);
      const before = lanes[index] ?? { worker, pid, generation, phases: [], endMs: null, ending: null };
      if (phase === 'gone') return put(index, { ...before, endMs: atMs, ending });
      return put(index, {
        ...before,
        // A spare that was promoted has a slot from then on.
        worker,
        phases: withPhase(before.phases, { phase, fromMs: atMs, reason }),
      });
    },
    saw: ({ workers }, atMs) => {
      for (const { id, pid, generation, phase, uptimeSeconds } of workers) {
        if (pid === null || alive(pid) !== -1) continue;
        const fromMs = atMs - uptimeSeconds * 1_000;
        // When it became ready is not known: seconds at most after its start.
        const phases = [{ phase, fromMs, reason: null }];
        put(-1, { worker: id, pid, generation, phases, endMs: null, ending: null });
      }
      const there = new Set(workers.map(({ pid }) => pid));
      lanes = lanes.map((lane) =>
        lane.endMs === null && !there.has(lane.pid) ? { ...lane, endMs: atMs } : lane,
      );
    },
    recall: (lines, sinceMs) => {
      const known = new Set(lanes.map(({ pid }) => pid));
      const past = new Map<number, Lane>();
      for (const { at, worker, pid, generation, kind, text, cause } of lines) {
        const atMs = Date.parse(at);
        if (pid === null || generation === null || known.has(pid) || !(atMs >= sinceMs)) continue;
        const before = past.get(pid) ?? { worker, pid, generation, phases: [], endMs: null, ending: null };
        const phase = phaseOf[kind];
        if (phase !== undefined) {
          const phases = withPhase(before.phases, { phase, fromMs: atMs, reason: cause });
          past.set(pid, { ...before, worker: worker ?? before.worker, phases });
        } else if (kind === 'died' || kind === 'gone') {
          const isDeath = kind === 'died' || before.ending?.kind === 'crash';
          const ending = { code: null, signal: null, lost: 0, cause: before.ending?.cause ?? cause ?? text };
          past.set(pid, {
            ...before,
            endMs: atMs,
            ending: { ...ending, kind: isDeath ? 'crash' : 'drained' },
          });
        }
      }
      // Without an end they ended with an earlier master, or live on and are seen soon.
      const drawn = [...past.values()].filter(({ phases, endMs }) => phases.length > 0 && endMs !== null);
      lanes = [...drawn, ...lanes].slice(-mostLanes);
    },
  };
}

const phaseOf: Readonly<Partial<Record<WhyLine['kind'], Phase>>> = {
  started: 'starting',
  spare: 'spare',
  ready: 'ready',
  draining: 'draining',
  killed: 'dying',
};

function withPhase(phases: readonly LanePhase[], next: LanePhase): readonly LanePhase[] {
  const last = phases.at(-1);
  // The same again: the process has its PID now.
  return last?.phase === next.phase ? phases : [...phases, next];
}

function startOf({ phases, endMs }: Lane): number {
  return phases[0]?.fromMs ?? endMs ?? 0;
}
