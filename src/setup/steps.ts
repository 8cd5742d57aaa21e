import { parse } from 'smol-toml';
import { fixedKeys } from '../settings/settings.js';
import { type Change, isChange, pathOfChange } from './changes.js';
import type { ServiceNames, ServicePlatform } from './names.js';
import type { ServicePlan } from './plan.js';
import type { HostSeam } from './world.js';

/** What runs of a service at this moment. */
export interface RunningState {
  /** As systemd says it, such as `active` or `failed`; of launchd `active` or `inactive`. */
  readonly service: string;
  readonly socket: string;
  /** Whether it starts with the machine. */
  readonly enabled: boolean;
}

export interface Steps {
  /** After the files are written; empty where the service already is as it should be. */
  readonly commands: readonly (readonly string[])[];
  /** Before the files are put back. */
  readonly undoBefore: readonly (readonly string[])[];
  /** After that. */
  readonly undoAfter: readonly (readonly string[])[];
  /** What happens to a service that runs. */
  readonly effect: 'start' | 'reload' | 'restart' | 'none';
}

export async function stateOf(names: ServiceNames, seam: HostSeam): Promise<RunningState> {
  if (seam.platform === 'darwin') {
    const printed = await seam.run('launchctl', ['print', `system/${names.unit}`]);
    return {
      service: printed === null ? 'inactive' : 'active',
      socket: 'inactive',
      enabled: printed !== null,
    };
  }
  const [service, socket, enabled] = await Promise.all([
    propertyOf(names.unit, 'ActiveState', seam),
    propertyOf(names.socketUnit, 'ActiveState', seam),
    propertyOf(names.unit, 'UnitFileState', seam),
  ]);
  return { service, socket, enabled: enabled === 'enabled' };
}

async function propertyOf(unit: string, property: string, seam: HostSeam): Promise<string> {
  const shown = await seam.run('systemctl', ['show', unit, '-p', property]);
  return (shown ?? '').trim().replace(`${property}=`, '') || 'inactive';
}

export interface StepsInput {
  readonly names: ServiceNames;
  readonly plan: ServicePlan;
  readonly changes: readonly Change[];
  readonly state: RunningState;
  readonly socket: boolean;
  readonly platform: ServicePlatform;
}

/** What brings a service to its new files, and back to its old ones. */
export function stepsFor(input: StepsInput): Steps {
  return input.platform === 'darwin' ? underLaunchd(input) : underSystemd(input);
}

const reloadFiles = ['systemctl', 'daemon-reload'];

function underSystemd({ names, plan, changes, state, socket }: StepsInput): Steps {
  const { unit, socketUnit } = names;
  const changed = changes.filter(isChange);
  const units = [...(socket ? [socketUnit] : []), unit];
  const isRunning = state.service === 'active' || state.service === 'reloading';
  const isHeld = state.socket === 'active';
  if (!isRunning) {
    const wanted = changed.length > 0 || !state.enabled || state.service !== 'active' || (socket && !isHeld);
    return {
      commands: wanted ? plan.commands : [],
      undoBefore: [['systemctl', 'disable', '--now', ...units]],
      undoAfter: [reloadFiles, ['systemctl', 'reset-failed', ...units]],
      effect: 'start',
    };
  }
  const back = [reloadFiles, ['systemctl', 'restart', unit]];
  const movesSocket = socket !== isHeld || changed.some((each) => pathOfChange(each) === names.socketDropIn);
  if (movesSocket) {
    // systemd opens a socket only while its service does not run.
    return {
      commands: [
        reloadFiles,
        ['systemctl', 'stop', socketUnit, unit],
        ...(socket ? [] : [['systemctl', 'disable', socketUnit]]),
        ['systemctl', 'enable', '--now', ...units],
      ],
      undoBefore: [['systemctl', 'stop', socketUnit, unit]],
      undoAfter: [reloadFiles, ['systemctl', 'start', ...(isHeld ? [socketUnit] : []), unit]],
      effect: 'restart',
    };
  }
  const enable = state.enabled ? [] : [['systemctl', 'enable', ...units]];
  if (changed.length === 0) return { commands: enable, undoBefore: [], undoAfter: [], effect: 'none' };
  const effect = changed.every((each) => isReloadable(each, names)) ? 'reload' : 'restart';
  return {
    commands: [reloadFiles, ...enable, ['systemctl', effect, unit]],
    undoBefore: [],
    // A reload that was refused has left the old workers.
    undoAfter: effect === 'reload' ? [] : back,
    effect,
  };
}

/** Only the configuration, and in it only what a reload brings into effect. */
function isReloadable(change: Change, names: ServiceNames): boolean {
  if (change.kind !== 'changed' || change.file.path !== names.config) return false;
  const [before, after] = [tableOf(change.before), tableOf(change.file.content)];
  if (before === null || after === null) return false;
  return fixedKeys.every(
    (key) => JSON.stringify(valueIn(before, key)) === JSON.stringify(valueIn(after, key)),
  );
}

type Table = Readonly<Record<string, unknown>>;

function tableOf(text: string): Table | null {
  try {
    return parse(text);
  } catch {
    return null;
  }
}

function valueIn(table: Table, key: string): unknown {
  const [first = '', second] = key.split('.');
  const value = table[first];
  return second === undefined ? value : (value as Table | undefined)?.[second];
}

/** launchd ends a job in its own time, and loads none of the same label until then. */
export const unload =
  'launchctl bootout "$1" 2>/dev/null; i=0; while launchctl print "$1" >/dev/null 2>&1 && [ $i -lt 60 ]; do sleep 1; i=$((i + 1)); done';

function underLaunchd({ names, plan, changes, state }: StepsInput): Steps {
  const target = `system/${names.unit}`;
  const isLoaded = state.service === 'active';
  const end = ['sh', '-c', unload, 'sh', target];
  if (isLoaded && !changes.some(isChange))
    return { commands: [], undoBefore: [], undoAfter: [], effect: 'none' };
  return {
    commands: [...(isLoaded ? [end] : []), ...plan.commands],
    undoBefore: [end],
    undoAfter: isLoaded ? [['launchctl', 'bootstrap', 'system', names.plist]] : [],
    effect: isLoaded ? 'restart' : 'start',
  };
}
