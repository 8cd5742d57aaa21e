import { exitCodes, RomAgentError } from '../../errors.js';
import { deferred } from '../deferred.js';
import { getServerOf, setGetServer } from '../node-internals.js';

/** Listeners that are not opened yet. */
export interface HeldListeners {
  /** Resolves when the first one would be. */
  readonly held: Promise<void>;
  /** Opens them, and all that follow. */
  open(): void;
}

/**
 * Keeps an app's `listen()` from taking effect: for the app it is under way, as it is while the master has not answered
 * yet. So an unmodified app boots as a whole, and what is left to be done is one question to the master.
 *
 * @throws RomAgentError where this Node asks in another way
 */
export function holdListeners(giver?: object): HeldListeners {
  const give = getServerOf(giver);
  if (give === undefined) throw new RomAgentError(noWay, { exitCode: exitCodes.noResources });
  const waiting: (() => void)[] = [];
  const held = deferred<void>();
  setGetServer(function (...args) {
    waiting.push(() => give.apply(this, args));
    held.resolve();
  }, giver);
  return {
    held: held.promise,
    open: () => {
      setGetServer(give, giver);
      for (const ask of waiting.splice(0)) ask();
    },
  };
}

const noWay = `spares: Node ${process.versions.node} has no way to hold back listeners; expected spares = 0`;
