import { setTimeout as sleep } from 'node:timers/promises';
import { tellMaster } from '../companion-process.js';
import { connectControl } from '../control/client.js';
import { type DeployMessage, type DeployOrder, deployVariable } from '../protocol/deploy.js';
import { endMarked, syncTree } from './command.js';
import { createCourse } from './course.js';
import { connectDaemon } from './daemon.js';
import { harmless } from './environment.js';
import { layoutOf, lockHolder, makeLayout, takeLock } from './layout.js';
import { rollbackTarget } from './prune.js';

/** The master is gone: its next start decides what becomes of the deploy, by the journal and the disk as they are. */
let isAbandoned = false;

/** The composition root of the process that makes one deploy. The master starts it, and hears of it over the channel. */
async function main(): Promise<void> {
  const order = JSON.parse(process.env[deployVariable] ?? '') as DeployOrder;
  delete process.env[deployVariable];
  const { settings, controlSocket } = order;
  const layout = layoutOf(settings.directory);
  const id = order.kind === 'deploy' ? order.id : null;
  process.once('disconnect', () => {
    isAbandoned = true;
    void (id === null ? Promise.resolve() : endMarked(layout.mark(id))).finally(() => process.exit(1));
  });
  if (!process.connected) process.exit(1);
  const course = createCourse({
    settings,
    daemon: controlSocket === null ? null : connectDaemon(connectControl({ path: controlSocket })),
    clock: Date.now,
    now: () => performance.now(),
    sleep,
    sync: syncTree,
    emit: (line) => tell({ type: 'line', line }),
    // A command that is ended here has not failed: nothing may be undone or written down for it.
    checkpoint: () => {
      if (isAbandoned) throw new Error('the master is gone');
    },
    inherited: harmless(process.env),
  });
  const isDryRun = order.kind === 'deploy' && order.options.dryRun === true;
  if (isDryRun) {
    tell({ type: 'accepted', id: order.id, message: 'a dry run' });
    await course.deploy(order.id, { ...order.options, origin: order.options.origin ?? 'command' });
    return;
  }
  try {
    makeLayout(layout);
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? String(error);
    return tell({
      type: 'refused',
      reason: `deploy.directory: ${settings.directory} cannot be written (${why})`,
    });
  }
  const lock = takeLock(layout);
  if (lock === null)
    return tell({
      type: 'refused',
      reason: `a deploy is under way already, in process ${lockHolder(layout.lock) ?? 'unknown'}`,
    });
  try {
    // What was left by a process that nobody saw end.
    const wasLeft = await course.resume();
    if (order.kind === 'resume') {
      if (!wasLeft) tell({ type: 'nothing' });
      return;
    }
    if (order.kind === 'rollback') {
      const target = rollbackTarget(layout, order.options.release);
      if ('problem' in target) return tell({ type: 'refused', reason: `rollback: ${target.problem}` });
      tell({ type: 'accepted', id: target.id, message: `rollback to ${target.id}` });
      await course.rollback(target.id, order.options);
      return;
    }
    const { options, id } = order;
    tell({
      type: 'accepted',
      id,
      message: `deploy ${id}${options.ref === undefined ? '' : ` of ${options.ref}`}`,
    });
    await course.deploy(id, { ...options, origin: options.origin ?? 'command' });
  } finally {
    // Held until this process has ended, which the next start waits for.
    if (!isAbandoned) lock.release();
  }
}

function tell(message: DeployMessage): void {
  tellMaster(message);
}

main().then(
  () => leave(0),
  (error: unknown) => {
    if (isAbandoned) return;
    process.stderr.write(`${(error as Error).stack ?? String(error)}\n`);
    leave(1);
  },
);

/** Once what was told is on its way. */
function leave(status: number): void {
  process.exitCode = status;
  if (process.connected) process.send?.({ type: 'end' }, undefined, undefined, () => process.exit(status));
  else process.exit(status);
}
