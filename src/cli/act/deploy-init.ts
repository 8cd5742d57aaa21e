import { statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadConfig } from '../../config/load.js';
import { systemInput } from '../../config/system.js';
import { giveTree } from '../../deploy/account.js';
import { syncTree } from '../../deploy/command.js';
import { createCourse } from '../../deploy/course.js';
import { harmless } from '../../deploy/environment.js';
import { hasRelease, layoutOf, lockHolder, makeLayout, readCurrent, takeLock } from '../../deploy/layout.js';
import { deploySettings, newId } from '../../deploy/plan.js';
import { exitCodes, RomAgentError } from '../../errors.js';
import type { DeployLine } from '../../protocol/deploy.js';
import { openTerminal } from '../output.js';
import type { CommandExit } from '../session.js';
import { deployText } from './deploy.js';

/** In the place of a session with a daemon, which there is none of. */
export async function initAndEnd(
  flags: Readonly<Record<string, unknown>>,
  finish: (exitCode: CommandExit) => void,
): Promise<never> {
  finish(await initCommand(flags));
  return new Promise(() => {});
}

/** `rom-agent deploy --init`: the first release, before there is a daemon. Does nothing where `current` leads to one. */
async function initCommand(flags: Readonly<Record<string, unknown>>): Promise<CommandExit> {
  const terminal = openTerminal();
  const { config } = await loadConfig(systemInput(flags));
  const settings = deploySettings(config);
  if (settings === null) {
    throw new RomAgentError('deploy.source is not set: expected a git repository, a tarball or a directory', {
      exitCode: exitCodes.config,
    });
  }
  const layout = layoutOf(settings.directory);
  const current = readCurrent(layout);
  if (current !== null && hasRelease(layout, current)) {
    terminal.print(`${layout.current} leads to ${current} already\n`);
    return exitCodes.ok;
  }
  makeLayout(layout);
  const lock = takeLock(layout);
  if (lock === null) {
    throw new RomAgentError(`a deploy is under way already, in process ${lockHolder(layout.lock)}`, {
      exitCode: exitCodes.tryAgain,
    });
  }
  let last: DeployLine | null = null;
  const course = createCourse({
    settings,
    daemon: null,
    clock: Date.now,
    now: () => performance.now(),
    sleep,
    sync: syncTree,
    emit: (line) => {
      last = line;
      if (flags.json === true) terminal.printJson(line, 'line');
      else terminal.print(deployText(line, terminal));
    },
    checkpoint: () => {},
    inherited: harmless(process.env),
  });
  try {
    await course.resume();
    const id = newId(Date.now(), (each) => hasRelease(layout, each));
    await course.deploy(id, { by: 'init', origin: 'init' });
  } finally {
    lock.release();
    handOver(config.stateDir, settings.directory);
  }
  const { verdict } = (last as Extract<DeployLine, { type: 'record' }> | null)?.record ?? {
    verdict: 'failed',
  };
  return verdict === 'done' ? exitCodes.ok : exitCodes.appFailed;
}

/** What root makes in the state directory of a service belongs to the account of that service. */
function handOver(stateDir: string, directory: string): void {
  if (process.getuid?.() !== 0 || !directory.startsWith(`${stateDir}/`)) return;
  const { uid, gid } = statSync(stateDir);
  if (uid !== 0) giveTree(directory, { uid, gid });
}
