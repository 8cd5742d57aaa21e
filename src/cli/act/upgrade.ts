import { resolve } from 'node:path';
import { exitCodes } from '../../errors.js';
import type { UpgradeLine } from '../../protocol/upgrade.js';
import { durationOf } from '../arguments.js';
import { span, type Terminal } from '../output.js';
import { type CommandExit, interruptedExit, type Session } from '../session.js';

export interface UpgradeFlags {
  readonly node?: string;
  readonly keep?: string;
  readonly json?: boolean;
}

/** `rom-agent upgrade`: a line a step. The exit status is the verdict. */
export async function upgradeCommand(
  { client, terminal, by, interrupted }: Session,
  { node, keep, json = false }: UpgradeFlags,
): Promise<CommandExit> {
  const options = {
    by,
    ...(node === undefined ? {} : { node: resolve(node) }),
    ...(keep === undefined ? {} : { patienceMs: durationOf('upgrade: --keep', keep) }),
  };
  const show = (line: UpgradeLine): void => {
    if (json) terminal.printJson(line, 'line');
    else terminal.print(`${textOf(line, terminal)}\n`);
  };
  const signal = interrupted();
  const aborted = new Promise<null>((over) => {
    if (signal.aborted) over(null);
    signal.addEventListener('abort', () => over(null), { once: true });
  });
  const last = await Promise.race([client.upgrade(options, show), aborted]);
  if (last === null) {
    terminal.warn('the upgrade continues in the daemon; rom-agent abort rolls it back');
    return interruptedExit;
  }
  return last.verdict === 'done' ? exitCodes.ok : exitCodes.appFailed;
}

function textOf(line: UpgradeLine, { paint }: Terminal): string {
  switch (line.type) {
    case 'answer':
      return line.message;
    case 'step':
      return `${(line.atMs / 1000).toFixed(2).padStart(8)} s  ${line.text}`;
    case 'verdict': {
      const why = line.reason === null ? '' : `: ${line.reason}`;
      return line.verdict === 'done'
        ? `process ${line.pid} ${paint('green', 'serves')}, after ${span(line.tookMs)}${why}; the connections of the old workers go on`
        : `${paint('red', 'rolled back')} after ${span(line.tookMs)}${why}; process ${line.pid} serves on`;
    }
  }
}
