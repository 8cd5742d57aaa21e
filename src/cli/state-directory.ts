import { existsSync } from 'node:fs';
import { gather, type LoadInput } from '../config/load.js';
import { folder } from '../record/lines.js';

/**
 * The directory with what a service leaves behind, whether it runs or not: of the service that is named, of the
 * configuration, or of the one service of this host.
 *
 * @throws RomAgentError exit 64 where there is no such service
 */
export async function stateDirectory(
  flags: Readonly<Record<string, unknown>>,
  input: LoadInput,
): Promise<string> {
  const { meantService, theService } = await import('./service.js');
  if (typeof flags.name === 'string') return (await meantService(flags.name, input)).stateDir;
  const { value, from } = (await gather(input, [])).effective.state_dir;
  if (!from.startsWith('default') || existsSync(`${value}/${folder}`)) return value;
  return (await theService(input))?.stateDir ?? value;
}
