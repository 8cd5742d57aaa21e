/** A service that is reloaded under load. */
export interface Contender {
  readonly name: string;
  /** Rounds as a share of those of the others, 0 to 1: some take long. */
  readonly share: number;
  /** @throws Error where it cannot be started, with what it said */
  start(): Promise<Reloadable>;
}

export interface Reloadable {
  readonly port: number;
  /** Resolves once the reload is over as its operator sees it, with what it took, ms. Rejects where it failed. */
  reload(): Promise<number>;
  /** Resolves once the processes that were replaced are gone. */
  settled(): Promise<void>;
  stop(): Promise<void>;
}

/** How long any step of a contender may take, ms. */
export const patience = 30_000;
/** Everybody has as many. */
export const workers = 2;
