import { isChanged, type Key, keys, show } from '../config/settings.js';
import { exitCodes } from '../errors.js';
import type { CommandExit, Session } from './session.js';
import { table } from './table.js';

/** `rom-agent config`: what the daemon that runs goes by, which may differ from what `check` finds in the files. */
export async function runningConfigCommand(
  { client, terminal }: Session,
  { json = false, changed = false }: { readonly json?: boolean; readonly changed?: boolean },
): Promise<CommandExit> {
  const all = Object.entries(await client.config());
  // One that this command does not know may be anything.
  const shownOnes = changed ? all.filter(([key, setting]) => !isKey(key) || isChanged(key, setting)) : all;
  const settings = Object.fromEntries(shownOnes);
  if (json) {
    terminal.printJson(settings, 'pretty');
    return exitCodes.ok;
  }
  const rows = Object.entries(settings).map(([key, { value, from }]) => [key, shown(key, value), from]);
  terminal.print(table([['setting', 'value', 'from'], ...rows]));
  return exitCodes.ok;
}

/** A daemon of another version may have settings that this command does not know. */
function shown(key: string, value: unknown): string {
  return isKey(key) ? show(key, value) : JSON.stringify(value);
}

function isKey(key: string): key is Key {
  return (keys as readonly string[]).includes(key);
}
