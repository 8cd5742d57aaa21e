import { pathToFileURL } from 'node:url';

/** What the function of a job gets. */
export interface JobContext {
  readonly job: string;
  readonly run: string;
  /** From 1. */
  readonly attempt: number;
  /** null: somebody asked for the run. */
  readonly dueAt: Date | null;
  /** Aborted by SIGTERM: at the timeout, or when the service stops. */
  readonly signal: AbortSignal;
}

/**
 * Calls an export of a module, and waits for what it returns.
 *
 * @throws what the module or the function throws, and where there is no such function
 */
export async function callExport(
  { path, export: name }: { readonly path: string; readonly export: string },
  context: JobContext,
): Promise<void> {
  const namespace = (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  const exported = named(namespace, name) ?? named(namespace.default, name);
  if (typeof exported !== 'function') {
    const names = Object.keys(namespace).join(', ') || 'nothing';
    throw new Error(`${path} exports no function ${name}: it exports ${names}`);
  }
  await exported(context);
}

/** CommonJS has its exports in `default`, and what was compiled from ES modules its default export in `default.default`. */
function named(exported: unknown, name: string): unknown {
  if (typeof exported === 'function' && name === 'default') return exported;
  if (typeof exported !== 'object' || exported === null) return undefined;
  const value = (exported as Record<string, unknown>)[name];
  return typeof value === 'function' ? value : undefined;
}
