import { createRequire } from 'node:module';
import type { AppRegistry } from '../protocol/metrics.js';

/** What of prom-client's Registry is called. */
interface Registry {
  getMetricsAsJSON(): unknown;
}

/** How long the app's registry may take, ms: its metrics may have collect functions that wait for something. */
const patience = 500;
/** Bytes of JSON that one worker sends at most. */
const mostBytes = 512 * 1024;

export interface AppRegistrySeam {
  /** The default registries of the copies of prom-client that the app has loaded. */
  readonly find?: () => readonly Registry[];
  readonly timeout?: number;
  readonly limit?: number;
}

/** Reads the app's own metrics, without a change in the app. Never rejects: `failure` names what was wrong. */
export async function readAppRegistry({
  find = loadedRegistries,
  timeout = patience,
  limit = mostBytes,
}: AppRegistrySeam = {}): Promise<AppRegistry> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it did not answer within ${timeout} ms`)), timeout);
  });
  try {
    const registries = find();
    if (registries.length === 0) return nothing('the app has not loaded prom-client');
    const all = Promise.all(registries.map((registry) => registry.getMetricsAsJSON()));
    // It may still fail when the time is over.
    all.catch(() => {});
    const lists = await Promise.race([all, deadline]);
    return asJson(lists.flat(), limit);
  } catch (error) {
    return nothing(error instanceof Error ? error.message : String(error));
  } finally {
    clearTimeout(timer);
  }
}

function nothing(failure: string): AppRegistry {
  return { json: null, failure };
}

/** As many of the metrics as there is room for, in their order. */
function asJson(families: readonly unknown[], limit: number): AppRegistry {
  const parts: string[] = [];
  let bytes = 1;
  for (const family of families) {
    const part = JSON.stringify(family) ?? 'null';
    bytes += Buffer.byteLength(part) + 1;
    if (bytes > limit) break;
    parts.push(part);
  }
  const left = families.length - parts.length;
  const failure =
    left === 0 ? null : `${left} of its ${families.length} metrics are left out: more than ${limit} bytes`;
  return { json: `[${parts.join(',')}]`, failure };
}

/** Every copy that was loaded: a package of the app may have one of its own. An ES module that imports it is in there too. */
function loadedRegistries(): readonly Registry[] {
  const { cache } = createRequire(import.meta.url);
  return Object.entries(cache).flatMap(([path, module]) => {
    if (!path.endsWith('/prom-client/index.js')) return [];
    const { register } = (module?.exports ?? {}) as { register?: Partial<Registry> };
    return typeof register?.getMetricsAsJSON === 'function' ? [register as Registry] : [];
  });
}
