import type { Config } from '../config/config.js';

/**
 * The flags of Node that the app finds in `process.execArgv`, and its children inherit: what the operator gave, and what
 * plain Node would need for the app. What the master adds for itself, the heap's limits among it, is not one of them.
 */
export function appFlags(
  { app, nodeArgs }: Pick<Config, 'app' | 'nodeArgs'>,
  own: readonly string[] = process.execArgv,
): readonly string[] {
  return [...own, ...nodeArgs, ...(needsStripFlag(app) ? ['--experimental-strip-types'] : [])];
}

/** Node strips types by itself from 22.18 on, behind a flag from 22.6 on. */
function needsStripFlag(app: string | null): boolean {
  if (app === null || !/\.[cm]?ts$/.test(app)) return false;
  const flags: ReadonlySet<string> = process.allowedNodeEnvironmentFlags;
  return (
    flags.has('--experimental-strip-types') &&
    !('typescript' in process.features && process.features.typescript)
  );
}
