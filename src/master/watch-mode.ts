/**
 * `node --watch` above the master. With WATCH_REPORT_DEPENDENCIES in its environment Node tells its parent of each module
 * that it loads. A worker's parent is the master, which hands on what it hears, so that Node knows the files of the app.
 */
export type WatchMessage = { readonly [Kind in (typeof kinds)[number]]?: unknown };

const kinds = ['watch:require', 'watch:import'] as const;

export function isWatched({ WATCH_REPORT_DEPENDENCIES }: NodeJS.ProcessEnv = process.env): boolean {
  return Boolean(WATCH_REPORT_DEPENDENCIES) && process.send !== undefined;
}

export function isOfWatch(message: unknown): message is WatchMessage {
  return typeof message === 'object' && message !== null && kinds.some((kind) => kind in message);
}

/** Does nothing where nobody watches. */
export function tellWatch(message: WatchMessage): void {
  // Node may have gone meanwhile.
  if (isWatched() && process.connected) process.send?.(message, undefined, undefined, () => {});
}
