import type { Question } from '../protocol/backplane-process.js';
import type { FleetQuestion } from '../protocol/fleet.js';
import { type Engine, EngineError } from './engine.js';

/** What of this host is part of a fleet. */
export interface FleetPart {
  ask(question: FleetQuestion): Promise<unknown>;
}

/** Answers what the control API asks. */
export async function answer(engine: Engine, question: Question, fleet: FleetPart | null): Promise<unknown> {
  switch (question.kind) {
    case 'queues': {
      const names = [...(await engine.queues())].sort();
      const queues = await Promise.all(names.map(async (name) => ({ name, ...(await engine.counts(name)) })));
      return { engine: engine.health(), queues };
    }
    case 'failed':
      return engine.failed(question.queue, question.limit);
    case 'retry':
      return engine.retry(question.queue, question.id);
    case 'fleet':
      if (fleet === null) throw new EngineError('missing', 'there is no fleet: fleet.redis_url is not set');
      return fleet.ask(question.question);
  }
}
