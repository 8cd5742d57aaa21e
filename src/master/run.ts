import { killGrace } from '../protocol/limits.js';
import { slowStart } from './control-door.js';
import { adviceFor } from './listen-sockets.js';
import type { Parts, ServeOptions } from './serve.js';
import { onSignals, ownTerminal } from './signals.js';
import { after, now, systemFiles } from './system.js';
import { connectSuccessor } from './upgrade/parts.js';

/** From the first fork to the last exit. */
export async function run(
  parts: Parts,
  { log, takeOver }: ServeOptions,
  ended: Promise<number>,
): Promise<number> {
  const { config, listen, releases, mailbox, centre, door, history, record } = parts;
  const { post } = mailbox;
  connectSuccessor(parts, log);
  const forgetSignals = onSignals(process, {
    post,
    commands: centre.commands,
    terminal: ownTerminal(),
    now,
  });
  const { config: first, cwd, cwdFrom } = releases.of(1);
  if (first.app !== null) log.info(`the app is ${first.app}, its working directory ${cwd}: ${cwdFrom}`);
  post(takeOver === null ? { type: 'start' } : { type: 'start', beside: true });
  // Its first reading is the one it counts from; the forks come first.
  setImmediate(parts.oomKills);
  const { later } = parts.successor;
  later(() => setImmediate(door.prepare));
  later(() => after(slowStart, () => void door.open()));
  later(() => after(slowStart, record.begin));
  const passed = listen.kind === 'fds';
  for (const advice of adviceFor({ ...config, passed, readFile: systemFiles.readFile })) log.warn(advice);
  const exitCode = await ended;
  await parts.upgrades.ended();
  await parts.successor.ended(config.drainTimeout + killGrace);
  await parts.jobs.ended();
  forgetSignals();
  parts.watches.end();
  parts.deploys.end();
  await parts.children.settled();
  const told = parts.notifier.end(notifyLimit);
  await Promise.all([door.close(), history.used()?.settled(), record.settled(), told]);
  parts.reaper.dismiss();
  return exitCode;
}

/** How long the end of the service waits for what somebody is still being told, ms. */
const notifyLimit = 3_000;
