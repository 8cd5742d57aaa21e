import type { Event } from '../core/events.js';
import type { KeptDeath, State, Worker } from '../core/state.js';
import { serviceStatus } from '../core/stats.js';
import type { ControlEvent, WorkerEnding } from '../protocol/control-api.js';

type WorkerEvent = Extract<ControlEvent, { type: 'worker' }>;

/** What an event has changed, for those who listen. */
export function differences(before: State, after: State, event: Event): readonly ControlEvent[] {
  const earlier = new Map(before.workers.map((worker) => [worker.key, worker]));
  const here = new Set(after.workers.map(({ key }) => key));
  const gone = before.workers.filter(({ key }) => !here.has(key));
  const changed = after.workers.filter(({ key, phase, pid }) => {
    const worker = earlier.get(key);
    return worker?.phase !== phase || worker.pid !== pid;
  });
  const service = serviceOf(after);
  const was = serviceOf(before);
  const isSame = was.status === service.status && was.wanted === service.wanted;
  return [
    ...changed.map((worker): WorkerEvent => {
      return { ...about(worker), phase: worker.phase, reason: reasonOf(worker, after), ending: null };
    }),
    ...gone.map((worker): WorkerEvent => {
      return { ...about(worker), phase: 'gone', reason: null, ending: endingOf(worker, after, event) };
    }),
    ...(isSame ? [] : [service]),
  ];
}

function about({ slot, pid, generation }: Worker) {
  return { type: 'worker', worker: slot, pid, generation } as const;
}

function reasonOf(worker: Worker, state: State): string | null {
  if (worker.phase === 'dying') return worker.why;
  return worker.phase === 'draining' ? (deathOf(worker, state)?.cause ?? null) : null;
}

function endingOf(worker: Worker, after: State, event: Event): WorkerEnding {
  const { code, signal } = event.type === 'exited' ? event : { code: null, signal: null };
  const exit = { code, signal };
  const death = deathOf(worker, after);
  const lost = death?.lost ?? worker.beat?.inFlight ?? 0;
  if (death !== undefined) {
    // Of one that said nothing the cause is its exit, in words.
    const says = worker.failure !== null || worker.phase === 'dying' || code === null ? death.cause : null;
    return { kind: death.kind, cause: says === `ended by ${signal}` ? null : says, ...exit, lost };
  }
  if (worker.phase === 'dying') return { kind: 'killed', cause: worker.why, ...exit, lost };
  const isDrained = code === 0 || (worker.phase === 'draining' && worker.drained);
  if (isDrained) return { kind: 'drained', cause: null, ...exit, lost };
  const during = worker.phase === 'draining' ? 'while it drained' : null;
  return { kind: 'crash', cause: worker.failure?.message ?? during, ...exit, lost };
}

function deathOf({ key }: Worker, { lastDeaths }: State): KeptDeath | undefined {
  return lastDeaths.find((death) => death.key === key);
}

function serviceOf({ life, slots }: State): Extract<ControlEvent, { type: 'service' }> {
  return { type: 'service', status: serviceStatus(life), wanted: slots.length };
}
