import { dirname } from 'node:path';
import { exitCodes, RomAgentError } from '../errors.js';
import { writtenFor } from './changes.js';
import { ownershipOf } from './files.js';
import { findServices } from './find.js';
import { checkName, namesOf, plainName, reloadUnits, type ServiceNames, unitDirectory } from './names.js';
import { unload } from './steps.js';
import { templateSocket, templateUnit } from './systemd.js';
import { type SetupSeam, textOf } from './world.js';

/** What `uninstall` does. Nothing of it is done yet. */
export interface Removal {
  readonly names: ServiceNames;
  /** Ends the service, and keeps it from starting again. */
  readonly commands: readonly (readonly string[])[];
  readonly removed: readonly string[];
  /** From, to: a configuration that was edited is kept where no service reads it. */
  readonly renamed: readonly (readonly [from: string, to: string])[];
  /** What stays, in words. */
  readonly kept: readonly string[];
}

/**
 * What belongs to one service: files that `install` wrote, and with `purge` the edited ones, state and logs too.
 *
 * @throws RomAgentError exit 64 where there is no such service
 */
export function planRemoval(
  name: string,
  { purge, seam }: { readonly purge: boolean; readonly seam: SetupSeam },
): Removal {
  checkName(name);
  const platform = seam.platform === 'darwin' ? 'darwin' : 'linux';
  const names = namesOf(name, platform);
  const own = [...writtenFor(name, platform), ...reloadFiles(name)].filter(
    (path) => seam.stat(path) !== null,
  );
  const services = findServices(seam);
  const folders = directoriesOf(names, seam).filter((path) => seam.stat(path) !== null);
  const isThere = services.some(({ unit }) => unit === names.unit) || own.length > 0;
  if (name === plainName || (!isThere && !(purge && folders.length > 0))) {
    const what =
      name === plainName
        ? 'is the plain unit, which make uninstall or the package manager removes'
        : 'is no service of this host that rom-agent install has made';
    const others = services.map((service) => service.name).filter((other) => other !== plainName);
    throw new RomAgentError(
      `uninstall: ${JSON.stringify(name)} ${what}; expected ${others.length === 0 ? 'the name of one, but there is none' : `one of ${others.join(', ')}`}`,
      { exitCode: exitCodes.usage },
    );
  }
  const files = sort(own, { purge, names, seam });
  const dropIns = platform === 'darwin' ? [] : [names.dropIn, names.socketDropIn].map(dirname);
  const foreign = dropIns.flatMap((folder) =>
    seam
      .entries(folder)
      .map((entry) => `${folder}/${entry}`)
      .filter((path) => !own.includes(path)),
  );
  return {
    names,
    commands: commandsFor(names, seam),
    removed: [
      ...files.removed,
      ...(purge ? foreign : []),
      ...templates(names, seam),
      ...(purge ? folders : folders.filter((path) => path === names.runtime)),
    ],
    renamed: files.renamed,
    kept: [
      ...files.renamed.map(([from, to]) => `${from} was edited: kept as ${to}`),
      ...files.kept,
      ...(purge ? [] : foreign.map((path) => `${path}: not written by rom-agent install`)),
      ...(purge
        ? []
        : folders
            .filter((path) => path !== names.runtime)
            .map((path) => `${path}: what the service wrote (--purge removes it)`)),
    ],
  };
}

interface Sorting {
  readonly purge: boolean;
  readonly names: ServiceNames;
  readonly seam: SetupSeam;
}

function sort(own: readonly string[], { purge, names, seam }: Sorting) {
  const removed: string[] = [];
  const renamed: (readonly [string, string])[] = [];
  const kept: string[] = [];
  for (const path of own) {
    const ownership = ownershipOf(textOf(seam, path) ?? '');
    if (purge || ownership === 'ours') removed.push(path);
    else if (ownership === 'edited' || path === names.config) renamed.push([path, `${path}.old`]);
    else kept.push(`${path}: not written by rom-agent install`);
  }
  return { removed, renamed, kept };
}

/** systemd has the directories of a dynamic user below `private`, and a link to each. */
function directoriesOf({ state, logs, runtime, short }: ServiceNames, seam: SetupSeam): readonly string[] {
  if (seam.platform === 'darwin') return [state, logs];
  const roots = ['/var/lib', '/var/log', '/var/cache', '/run'];
  return [state, logs, `/var/cache/${short}`, runtime, ...roots.map((root) => `${root}/private/${short}`)];
}

/** Those that `install` wrote, with the last service of theirs. */
function templates(names: ServiceNames, seam: SetupSeam): readonly string[] {
  const others = findServices(seam).filter(
    ({ unit }) => unit !== names.unit && unit.startsWith(`${plainName}@`),
  );
  if (others.length > 0 || seam.platform === 'darwin') return [];
  return [templateUnit, templateSocket]
    .map((name) => `${unitDirectory}/${name}`)
    .filter((path) => ownershipOf(textOf(seam, path) ?? '') === 'ours');
}

function commandsFor(names: ServiceNames, seam: SetupSeam): Removal['commands'] {
  if (seam.platform === 'darwin') return [['sh', '-c', unload, 'sh', `system/${names.unit}`]];
  const enabled = seam.entries(`${unitDirectory}/sockets.target.wants`);
  const hasSocket = seam.stat(names.socketDropIn) !== null || enabled.includes(names.socketUnit);
  // The socket first: it would start the service again.
  const units = [...(hasSocket ? [names.socketUnit] : []), names.unit];
  const { timer } = reloadUnits(names.name);
  const timers = seam.stat(`${unitDirectory}/${timer}`) === null ? [] : [timer];
  return [...timers, ...units].map((unit) => ['systemctl', 'disable', '--now', unit]);
}

function reloadFiles(name: string): readonly string[] {
  return Object.values(reloadUnits(name)).map((unit) => `${unitDirectory}/${unit}`);
}

/**
 * @returns what could not be done, a sentence each
 */
export async function applyRemoval(
  { names, commands, removed, renamed }: Removal,
  seam: SetupSeam,
): Promise<readonly string[]> {
  const failures: string[] = [];
  for (const argv of commands) {
    const { ok, output } = await seam.execute(argv);
    if (!ok) failures.push(`${argv.join(' ')}: ${output}`);
  }
  const attempt = (act: () => void): void => {
    try {
      act();
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  };
  for (const [from, to] of renamed) attempt(() => seam.rename(from, to));
  for (const path of removed) attempt(() => seam.remove(path));
  for (const path of [names.dropIn, names.socketDropIn, names.config].map(dirname)) seam.removeEmpty(path);
  if (seam.platform === 'darwin') return failures;
  await seam.execute(['systemctl', 'daemon-reload']);
  // Forgets a failure; a unit that is not loaded has none.
  await seam.execute(['systemctl', 'reset-failed', names.unit]);
  return failures;
}
