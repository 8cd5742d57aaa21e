import { statSync } from 'node:fs';
import { findDirectories, launchdRuntime, ofCheckout } from '../config/directories.js';
import { gather, type LoadInput } from '../config/load.js';
import { ConfigError, type Problem } from '../errors.js';

export interface SocketSeam {
  readonly input: LoadInput;
  readonly uid: number;
  readonly isThere: (path: string) => boolean;
  readonly warn: (sentence: string) => void;
}

/**
 * The control socket that the configuration names. Other settings may be wrong: whoever has just broken the
 * configuration must still reach the daemon that runs.
 *
 * @throws {ConfigError} where the path itself is wrong
 */
export async function findControlSocket({ input, uid, isThere, warn }: SocketSeam): Promise<string> {
  const problems: Problem[] = [];
  const { effective } = await gather(input, problems);
  const { value, from } = effective.control_socket;
  const own = problems.filter(({ field }) => field === 'control_socket');
  if (own.length > 0) throw new ConfigError(own);
  if (problems.length > 0) warn('the configuration has errors; rom-agent check prints them');
  const candidates = systemSockets(input.platform);
  if (!from.startsWith('default') || isThere(value)) return value;
  const system = candidates.find((path) => path !== value && isThere(path));
  if (system === undefined) return value;
  if (from.includes(ofCheckout)) {
    // The one that is meant may be a tour's, and the other one in production.
    warn(`the service of this machine is not asked; it has the control socket ${system}`);
    return value;
  }
  // Where root itself runs a daemon by hand, it is at the default.
  return uid === 0 && input.platform !== 'darwin' ? value : system;
}

/** Whether there is anything; a directory that may not be entered hides the answer, and so counts as yes. */
export function isThere(path: string): boolean {
  try {
    statSync(path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code !== 'ENOENT' && code !== 'ENOTDIR';
  }
}

/** Of the service that this machine has: under launchd, which runs it as an account of its own, or as root's. */
function systemSockets(platform: NodeJS.Platform): readonly string[] {
  const nowhere = '';
  const { runtime } = findDirectories({ env: {}, uid: 0, platform, home: nowhere, tmpdir: nowhere });
  const all = platform === 'darwin' ? [launchdRuntime, runtime] : [runtime];
  return all.map((directory) => `${directory}/control.sock`);
}
