import { dirname } from 'node:path';
import { upwards } from '../config/package.js';
import { exitCodes, RomAgentError } from '../errors.js';
import { type Change, isChange } from './changes.js';
import type { ServiceNames } from './names.js';
import type { Prepared } from './prepare.js';
import { type SetupSeam, textOf } from './world.js';

/** What was done that the questions before did not say, a sentence each. */
export interface Applied {
  readonly kept: readonly string[];
}

/**
 * Writes the files and starts the service; systemd and launchd say when it is ready. What fails half-way is undone: the
 * files are as they were, and a service that ran before runs on.
 *
 * @throws RomAgentError exit 75 with the last lines of the service's log, and with what could not be undone
 */
export async function applyService(prepared: Prepared, seam: SetupSeam): Promise<Applied> {
  const { changes, steps, names } = prepared;
  const done: Change[] = [];
  const kept: string[] = [];
  const folders = newFolders(changes, seam);
  let started = false;
  try {
    for (const change of changes.filter(isChange)) {
      done.push(change);
      const name = writeChange(change, seam);
      if (name !== null) kept.push(name);
    }
    for (const argv of steps.commands) {
      started = true;
      const { ok, output } = await seam.execute(argv);
      if (!ok) throw new Error(`${argv.slice(0, 6).join(' ')}: ${output}`);
    }
    await waitUntilReady(names, seam);
    return { kept };
  } catch (error) {
    const log = started ? await lastLines(names, seam) : '';
    const stands = await undo({ prepared, done, folders, started, seam });
    const reason = error instanceof Error ? error.message : String(error);
    const said = log === '' ? '' : `\nThe last lines of its log:\n${indented(log)}`;
    const end =
      stands.length === 0
        ? 'What was written is undone'
        : `What was written is undone, but for:\n${indented(stands.join('\n'))}`;
    throw new RomAgentError(`the service ${names.name} was not installed: ${reason}${said}\n${end}`, {
      exitCode: exitCodes.tryAgain,
      cause: error,
    });
  }
}

/** The name under which an edited file was kept. */
function writeChange(change: Change, seam: SetupSeam): string | null {
  if (change.kind === 'same') return null;
  const keep = 'keep' in change ? change.keep : null;
  if (keep !== null && 'before' in change)
    seam.write({ path: keep, content: change.before, mode: change.mode });
  if (change.kind === 'removed') seam.remove(change.path);
  else seam.write(change.file);
  return keep;
}

interface Undoing {
  readonly prepared: Prepared;
  readonly done: readonly Change[];
  readonly folders: readonly string[];
  readonly started: boolean;
  readonly seam: SetupSeam;
}

/** What is left all the same, in words. */
async function undo({ prepared, done, folders, started, seam }: Undoing): Promise<readonly string[]> {
  const { steps, names } = prepared;
  const stands: string[] = [];
  if (started) for (const argv of steps.undoBefore) await seam.execute(argv);
  for (const change of [...done].reverse()) {
    try {
      restore(change, seam);
    } catch (error) {
      stands.push(error instanceof Error ? error.message : String(error));
    }
  }
  for (const folder of folders) seam.removeEmpty(folder);
  if (started) {
    for (const argv of steps.undoAfter) {
      const { ok, output } = await seam.execute(argv);
      // A unit that is gone cannot have its failure forgotten.
      if (!ok && !argv.includes('reset-failed')) stands.push(`${argv.join(' ')}: ${output}`);
    }
  }
  if (steps.effect === 'start' && started && seam.stat(names.state) !== null)
    stands.push(`${names.state}, which the service may have written to`);
  return stands;
}

function restore(change: Change, seam: SetupSeam): void {
  if (change.kind === 'same') return;
  if (change.kind === 'new') return seam.remove(change.file.path);
  const path = change.kind === 'removed' ? change.path : change.file.path;
  seam.write({ path, content: change.before, mode: change.mode });
  if (change.keep !== null) seam.remove(change.keep);
}

/** Folders that will be made, the deepest first. */
function newFolders(changes: readonly Change[], seam: SetupSeam): readonly string[] {
  const folders = changes.flatMap((change) =>
    change.kind === 'new' ? upwards(dirname(change.file.path)) : [],
  );
  const missing = [...new Set(folders)].filter((folder) => seam.stat(folder) === null);
  return missing.sort((a, b) => b.length - a.length);
}

/** ms */
const readyLimit = 90_000;
const lookInterval = 200;

/** `systemctl start` returns when the service is ready; launchctl returns at once. */
async function waitUntilReady(names: ServiceNames, seam: SetupSeam): Promise<void> {
  if (seam.platform !== 'darwin') return;
  const { monotonic, sleep, ask } = seam;
  const deadline = monotonic() + readyLimit;
  for (;;) {
    if ((await ask(names.controlSocket)).state === 'runs') return;
    if (monotonic() >= deadline) throw new Error(`it does not answer within ${readyLimit / 1000} s`);
    await sleep(lookInterval);
  }
}

const lines = 20;

/** Of a service's log, as one text; empty where there is none. */
export async function lastLines(names: ServiceNames, seam: SetupSeam): Promise<string> {
  if (seam.platform === 'darwin')
    return (textOf(seam, `${names.logs}/rom-agent.log`) ?? '').trim().split('\n').slice(-lines).join('\n');
  const argv = ['-u', names.unit, '-n', String(lines), '-o', 'cat', '--no-pager'];
  return ((await seam.run('journalctl', argv)) ?? '').trim();
}

function indented(text: string): string {
  return text.replaceAll(/^/gm, '  ');
}
