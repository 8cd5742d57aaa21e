import { fileURLToPath } from 'node:url';
import {
  type AdminMessage,
  type AdminSettings,
  adminPlaceOf,
  adminVariable,
  isAdminMessage,
} from '../protocol/admin-process.js';
import type { Config } from '../settings/config.js';
import {
  type CompanionEvents,
  type CompanionHandle,
  type CompanionSeam,
  createCompanion,
  spawnCompanion,
} from './companion.js';
import { serviceName } from './log-source.js';

/** The server of the setting `admin`, a process of its own. @returns what ends it */
export function startAdminServer(
  config: Config,
  {
    version,
    ...seam
  }: Pick<AdminSettings, 'version'> & Pick<CompanionSeam<AdminMessage>, 'after' | 'now' | 'info' | 'warn'>,
): () => void {
  const { admin, adminTokenFile, adminSocketMode, controlSocket } = config;
  if (admin === null) return () => {};
  const settings: AdminSettings = {
    name: serviceName(),
    ...{ version, controlSocket },
    place: adminPlaceOf(admin, adminSocketMode),
    token: adminTokenFile === null ? { kind: 'none' } : { kind: 'file', path: adminTokenFile },
    by: 'dashboard',
    hook: hookOf(config),
  };
  const server = createCompanion<AdminMessage>({
    ...seam,
    spawn: (on) => spawnAdminServer(settings, on),
    what: 'the admin server',
    where: admin,
  });
  server.begin();
  return server.end;
}

function hookOf({ deploy }: Config): AdminSettings['hook'] {
  const { hookSecretFile: secretFile, hookBranch, ref, source } = deploy;
  if (secretFile === null || source === null) return null;
  return { secretFile, branch: hookBranch ?? ref, ref: hookBranch };
}

/** MiB: a stream of samples, and what is proxied, need little. */
const heapLimit = 64;

/** @param keepsAlive whether this process lives for as long */
export function spawnAdminServer(
  settings: AdminSettings,
  events: CompanionEvents<AdminMessage>,
  { keepsAlive = false } = {},
): CompanionHandle {
  const main = fileURLToPath(new URL('../admin/main.js', import.meta.url));
  return spawnCompanion(
    { main, variable: adminVariable, settings, heapLimit, isMessage: isAdminMessage, keepsAlive },
    events,
  );
}
