import { exitCodes, RomAgentError } from '../errors.js';
import { ownershipOf } from './files.js';
import { unitDirectory } from './names.js';
import type { ShippedTexts } from './plan.js';
import { hiddenBy, obstacleTo } from './reach.js';
import { templateSocket, templateUnit } from './systemd.js';
import { type HostSeam, textOf } from './world.js';

/** Where systemd looks for the units of packages, the first wins: systemd.unit(5). */
export const packageUnitDirectories = [
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
] as const;

/** Who runs a service, and from where. */
export interface Program {
  readonly node: string;
  readonly libdir: string;
  /** `v22.1.0`; null: unknown */
  readonly version: string | null;
  readonly templates: { readonly service: string | null; readonly socket: string | null };
  readonly shipped: ShippedTexts;
}

/**
 * The node and the package of the services that will be written: those of an installed template, else those of this
 * process, which must be ones that a service can reach.
 *
 * @throws RomAgentError exit 77 where it cannot, 70 where the package is not complete
 */
export async function findProgram(seam: HostSeam): Promise<Program> {
  const service = seam.platform === 'linux' ? installed(templateUnit, seam) : null;
  const socket = seam.platform === 'linux' ? installed(templateSocket, seam) : null;
  const [, node, libdir] =
    /^ExecStart=(\S+) (\S+)\/dist\/cli\/main\.js /m.exec(service === null ? '' : service.text) ?? [];
  const templates = { service: service?.path ?? null, socket: socket?.path ?? null };
  // What a package has installed as a unit it need not have a second time.
  const shipped = shippedTexts(seam, { service: node !== undefined, socket: socket !== null });
  if (node !== undefined && libdir !== undefined) {
    const version = (await seam.run(node, ['--version']))?.trim() ?? null;
    return { node, libdir, version, templates, shipped };
  }
  const own = { node: seam.execPath, libdir: seam.libdir };
  checkReachable(own, seam);
  checkAddon(seam);
  return { ...own, version: `v${seam.nodeVersion}`, templates: { ...templates, service: null }, shipped };
}

/** The unit of a package. An administrator's own of the same name wins over it, unless it is one that we wrote. */
function installed(name: string, seam: HostSeam): { path: string; text: string } | null {
  for (const directory of [unitDirectory, ...packageUnitDirectories]) {
    const path = `${directory}/${name}`;
    const text = textOf(seam, path);
    if (text === null || ownershipOf(text) === 'ours') continue;
    return { path, text };
  }
  return null;
}

function shippedTexts(seam: HostSeam, has: { service: boolean; socket: boolean }): ShippedTexts {
  const text = (path: string): string => {
    const found = textOf(seam, `${seam.libdir}/${path}`);
    if (found !== null) return found;
    throw new RomAgentError(`a file of rom-agent is missing, ${seam.libdir}/${path}: reinstall it`, {
      exitCode: exitCodes.appFailed,
    });
  };
  const isMac = seam.platform === 'darwin';
  return {
    service: isMac || has.service ? '' : text(`systemd/${templateUnit}`),
    socket: isMac || has.socket ? '' : text(`systemd/${templateSocket}`),
    plist: isMac ? text('launchd/org.rom-agent.plist') : '',
    newsyslog: isMac ? text('packaging/newsyslog.conf') : '',
  };
}

function checkReachable({ node, libdir }: { node: string; libdir: string }, seam: HostSeam): void {
  const forAll = 'install Node for all users (a package of the system, or a tarball in /usr/local)';
  const again = 'then rom-agent with it: sudo npm install -g rom-agent';
  const real = { node: seam.realpath(node), libdir: seam.realpath(libdir) };
  for (const path of [node, real.node]) {
    if (hiddenBy(path, seam) !== null)
      throw refused(`${path} is hidden from services (ProtectHome=yes, PrivateTmp=yes): ${forAll}, ${again}`);
  }
  for (const path of [libdir, real.libdir]) {
    if (hiddenBy(path, seam) !== null)
      throw refused(
        `rom-agent itself is in ${path}, which is hidden from services (ProtectHome=yes, PrivateTmp=yes): install it for all users, sudo npm install -g rom-agent`,
      );
  }
  const account = { kind: 'dynamic' } as const;
  const main = `${libdir}/dist/cli/main.js`;
  const blocked =
    obstacleTo({ path: node, account, need: 'execute' }, seam) ??
    obstacleTo({ path: main, account, need: 'read' }, seam);
  if (blocked === null) return;
  throw refused(
    `${blocked} may not be entered or read by other accounts, and the service has one of its own: ${forAll}, ${again}`,
  );
}

/** Without it systemd would wait for READY=1 in vain. */
function checkAddon(seam: HostSeam): void {
  if (seam.platform !== 'linux') return;
  try {
    seam.loadAddon();
  } catch (error) {
    const [reason = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
    throw refused(
      `${seam.execPath} can load neither sd-notify nor koffi (${reason}), without which systemd waits for the service in vain: reinstall rom-agent with this node`,
    );
  }
}

function refused(message: string): RomAgentError {
  return new RomAgentError(message, { exitCode: exitCodes.noPermission });
}
