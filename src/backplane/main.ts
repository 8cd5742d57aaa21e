import { endWithMaster, reasonOfError, runCompanion, tellMaster } from '../companion-process.js';
import {
  type BackplaneMessage,
  type BackplaneOrder,
  type BackplaneSettings,
  backplaneVariable,
} from '../protocol/backplane-process.js';
import { answer } from './answer.js';
import { openEmbedded } from './embedded/open.js';
import { type Engine, EngineError } from './engine.js';
import type { Fleet } from './redis/fleet.js';
import { holdDirectory, listen } from './server.js';

/** The composition root of the backplane's process. */
async function main(): Promise<void> {
  const settings = JSON.parse(process.env[backplaneVariable] ?? '') as BackplaneSettings;
  delete process.env[backplaneVariable];
  const { engine, fleet } = await openEngine(settings);
  const server = await listen(engine, { path: settings.socket, onProblem });
  obey(engine, fleet);
  endWithMaster(async (masterDied) => {
    server.close();
    if (masterDied) fleet?.stayListed();
    await engine.close();
  });
  tell({ type: 'listening' });
}

/** What the backplane runs on. */
async function openEngine({ directory, fleet: settings }: BackplaneSettings) {
  await holdDirectory(directory);
  const embedded = await openEmbedded({ directory, onProblem });
  if (settings === null) return { engine: embedded, fleet: null };
  // Nobody else pays for BullMQ and ioredis.
  const { openRedis } = await import('./redis/open.js');
  return openRedis({
    settings,
    journal: embedded,
    tell: (event) => tell({ type: 'fleet', event }),
    info: (message) => tell({ type: 'info', message }),
    warn: (message) => tell({ type: 'problem', message }),
  });
}

function onProblem(message: string): void {
  tell({ type: 'problem', message: `backplane: ${message}` });
}

function tell(message: BackplaneMessage): void {
  tellMaster(message);
}

function obey(engine: Engine, fleet: Fleet | null): void {
  process.on('message', (order: BackplaneOrder) => {
    if (order.type === 'ask') {
      const { id, question } = order;
      void answer(engine, question, fleet).then(
        (value) => tell({ type: 'answer', id, answer: { ok: true, value } }),
        (error: unknown) => tell({ type: 'answer', id, answer: { ok: false, reason: reasonOf(error) } }),
      );
    } else fleet?.order(order.order);
  });
}

runCompanion(main, reasonOf);

function reasonOf(error: unknown): string {
  return error instanceof EngineError ? error.message : reasonOfError(error);
}
