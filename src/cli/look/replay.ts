import { readFile } from 'node:fs/promises';
import { systemInput } from '../../config/system.js';
import { exitCodes, RomAgentError } from '../../errors.js';
import { build } from '../../protocol/build.js';
import type { WhyLine } from '../../protocol/why.js';
import { readTurns } from '../../record/lines.js';
import { type Difference, type Replay, replay } from '../../record/replay.js';
import { moment, openTerminal, plain, type Terminal } from '../output.js';
import type { CommandExit } from '../session.js';
import { stateDirectory } from '../state-directory.js';
import { version } from '../version.js';
import { narration } from './why.js';

export interface ReplayFlags {
  readonly why?: boolean;
  readonly json?: boolean;
}

/** `rom-agent replay [file]`: runs a record through this version's core. */
export async function replayCommand(
  file: string | undefined,
  flags: ReplayFlags & Readonly<Record<string, unknown>>,
): Promise<CommandExit> {
  const terminal = openTerminal();
  const { text, where } = await recordOf(file, flags);
  const lines: WhyLine[] = [];
  const result = replay(text, flags.why === true ? { onLine: (line) => lines.push(line) } : {});
  if (result.turns === 0) {
    throw new RomAgentError(`replay: ${where} has no turn that can be run again`, {
      exitCode: exitCodes.moduleMissing,
    });
  }
  if (flags.json === true) terminal.printJson({ ...result, lines }, 'pretty');
  else {
    if (lines.length > 0) terminal.print(narration(lines, terminal));
    terminal.print(report(result, { where, terminal }));
  }
  return result.difference === null ? exitCodes.ok : exitCodes.appFailed;
}

/** @throws RomAgentError where it cannot be read */
async function recordOf(
  file: string | undefined,
  flags: Readonly<Record<string, unknown>>,
): Promise<{ readonly text: string; readonly where: string }> {
  const directory = file === undefined ? await stateDirectory(flags, systemInput(flags)) : '';
  const where = file ?? directory;
  try {
    return { where, text: file === undefined ? await readTurns(directory) : await readFile(file, 'utf8') };
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const isForbidden = code === 'EACCES' || code === 'EPERM';
    throw new RomAgentError(
      `replay: ${plain(where)} cannot be read: ${isForbidden ? 'no permission; use sudo' : message}`,
      {
        exitCode: isForbidden ? exitCodes.noPermission : exitCodes.moduleMissing,
        cause,
      },
    );
  }
}

function report(
  { turns, fromMs, toMs, runs, gaps, difference }: Replay,
  { where, terminal }: { readonly where: string; readonly terminal: Terminal },
): string {
  const others = runs.filter((run) => run.build !== build);
  const by = runs.map(
    (run) => `rom-agent ${run.version} (build ${run.build}, PID ${run.pid}, Node ${run.node})`,
  );
  const lines = [
    `${where}: ${turns} turns from ${moment(fromMs ?? 0)} to ${moment(toMs ?? 0)}`,
    ...[...new Set(by)].map((text) => `written by ${text}`),
    ...(others.length === 0
      ? []
      : [`this is build ${build} of rom-agent ${version}, another one: what differs may be meant`]),
    ...gaps.map(
      ({ line, why }) => `line ${line} is left out, and what follows up to the next beginning: ${why}`,
    ),
  ].map(plain);
  if (difference === null) {
    const verdict = terminal.paint('green', 'no difference: this version decides the same in each of them');
    return `${[...lines, verdict].join('\n')}\n`;
  }
  return `${[...lines, ...differenceText(difference, terminal)].join('\n')}\n`;
}

function differenceText(
  { turn, state, recorded, today, thrown }: Difference,
  { paint }: Terminal,
): readonly string[] {
  const list = (effects: Difference['today']): readonly string[] =>
    effects.length === 0 ? ['  nothing'] : effects.map((effect) => plain(`  ${JSON.stringify(effect)}`));
  return [
    paint(
      'red',
      `this version decides otherwise at line ${turn.line}, ${moment(turn.clockMs)} (${turn.now} ms on its clock)`,
    ),
    plain(`event: ${JSON.stringify(turn.event)}`),
    'state before:',
    ...state.split('\n').map((line) => plain(`  ${line}`)),
    'recorded:',
    ...list(recorded),
    'this version:',
    ...(thrown === null ? list(today) : [plain(`  it fails: ${thrown}`)]),
  ];
}
