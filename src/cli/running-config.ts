import { type Key, keys, show } from '../config/settings.js';
import { exitCodes } from '../errors/exit-codes.js';
import type { CommandExit, Session } from './session.js';
import { table } from './table.js';

/** `rom-agent config`: what the daemon that runs goes by, which may differ from what `check` finds in the files. */
export async function runningConfigCommand(
  { client, terminal }: Session,
  { json = false }: { readonly json?: boolean },
): Promise<CommandExit> {
  const settings = await client.config();
  const rows = Object.entries(settings).map(([key, { value, from }]) => [key, shown(key, value), from]);
  terminal.print(
    json ? `${JSON.stringify(settings, null, 2)}\n` : table([['setting', 'value', 'from'], ...rows]),
  );
  return exitCodes.ok;
}

/** A daemon of another version may have settings that this command does not know. */
function shown(key: string, value: unknown): string {
  return isKey(key) ? show(key, value) : JSON.stringify(value);
}

function isKey(key: string): key is Key {
  return (keys as readonly string[]).includes(key);
}
