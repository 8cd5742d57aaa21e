import type { State } from '../../core/state.js';
import type { Answer } from '../../protocol/control-api.js';
import type { Upgrades, UpgradesSeam } from './upgrade.js';

/** Upgrades as the rest of the master sees them; their code is loaded once the service serves. */
export interface LazyUpgrades extends Pick<Upgrades, 'abort' | 'changed' | 'refusal' | 'ended'> {
  get(): Promise<Upgrades>;
}

/** @param isHeld whether this master is itself about to take another's place */
export function lazyUpgrades(seam: () => UpgradesSeam, isHeld: () => boolean): LazyUpgrades {
  let made: Upgrades | null = null;
  let loading: Promise<Upgrades> | null = null;
  const load = async (): Promise<Upgrades> => {
    const { createUpgrades } = await import('./upgrade.js');
    made = createUpgrades(seam());
    return made;
  };
  return {
    get: () => {
      loading ??= load();
      return loading;
    },
    abort: (by: string): Answer | null => made?.abort(by) ?? null,
    changed: (after: State) => made?.changed(after),
    refusal: () => (isHeld() ? 'this process is about to take over' : (made?.refusal() ?? null)),
    ended: async () => made?.ended(),
  };
}
