import { readFileSync } from 'node:fs';
import { exitCodes, RomAgentError } from '../errors.js';
import type { Sample } from './load.js';

/** The requests of a load, and what of the source was left out, in words. */
export interface Chosen {
  readonly samples: readonly Sample[];
  readonly leftOut: string | null;
}

/** More kinds of requests would each get too few of a short load. */
const most = 50;
const safe: ReadonlySet<string> = new Set(['GET', 'HEAD']);

/**
 * A request a line: a path, or a method and a path. What begins with `#` is a comment.
 *
 * @throws RomAgentError exit 64 for a line that is neither
 */
export function fromList(text: string, file: string): Chosen {
  const samples = text.split('\n').flatMap((raw, index) => {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) return [];
    const [, method = 'GET', path] = /^(?:([A-Z]+)\s+)?(\/[\x21-\x7e]*)$/.exec(line) ?? [];
    if (path === undefined)
      throw wrong(
        '--paths',
        `${file}:${index + 1}`,
        line,
        'a path such as "/cart", or a method and a path such as "POST /cart"',
      );
    return [{ method, path }];
  });
  if (samples.length === 0) throw wrong('--paths', file, '', 'a file with at least one path');
  return limited(samples, 0);
}

/**
 * The requests of an HTTP Archive 1.2, as browsers save them: those with GET and HEAD, once each, to
 * the host of the first. Of the headers only `accept` is sent.
 *
 * @throws RomAgentError exit 64 where it is none
 */
export function fromHar(text: string, file: string): Chosen {
  const { log } = parsed('--har', file, text) as { log?: { entries?: unknown } };
  const entries = log?.entries;
  if (!Array.isArray(entries))
    throw wrong('--har', file, 'no log.entries', 'an HTTP Archive, as the network tab of a browser saves it');
  let page: string | null = null;
  const all = (entries as HarEntry[]).flatMap(({ request }) => {
    const { method, url, headers } = request ?? {};
    if (typeof method !== 'string' || typeof url !== 'string' || !URL.canParse(url)) return [];
    const { protocol, host, pathname, search } = new URL(url);
    if (protocol !== 'http:' && protocol !== 'https:') return [];
    // What a page loads from elsewhere is not the app's.
    page ??= host;
    if (host !== page) return [];
    const accept = Array.isArray(headers)
      ? headers.find(({ name }) => String(name).toLowerCase() === 'accept')?.value
      : undefined;
    return [{ method, path: pathname + search, ...(accept === undefined ? {} : { headers: { accept } }) }];
  });
  return onlySafe(all, { flag: '--har', file });
}

interface HarEntry {
  readonly request?: {
    readonly method?: unknown;
    readonly url?: unknown;
    readonly headers?: readonly { readonly name?: unknown; readonly value?: string }[];
  };
}

/**
 * The GET operations of an OpenAPI 3 document in JSON whose parameters have an example, a default or an enumeration, or
 * need not be given.
 *
 * @throws RomAgentError exit 64 where it is none
 */
export function fromOpenApi(text: string, file: string): Chosen {
  const document = parsed('--openapi', file, text) as OpenApi;
  if (typeof document.paths !== 'object' || document.paths === null)
    throw wrong('--openapi', file, 'no paths', 'an OpenAPI 3 document in JSON');
  const base = basePath(document.servers?.[0]?.url);
  let others = 0;
  const samples = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item ?? {}).flatMap(([method, operation]): readonly Sample[] => {
      if (!methods.has(method) || Array.isArray(operation)) return [];
      const own = (operation as { readonly parameters?: readonly Parameter[] }).parameters;
      const parameters = [...(item.parameters ?? []), ...(own ?? [])];
      const filled = method === 'get' ? fill(path, parameters, document) : null;
      if (filled === null) others += 1;
      return filled === null ? [] : [{ method: 'GET', path: base + filled }];
    }),
  );
  if (samples.length === 0)
    throw wrong(
      '--openapi',
      file,
      `${others} operations`,
      'at least one GET operation whose parameters have examples',
    );
  return limited(samples, others);
}

const methods: ReadonlySet<string> = new Set([
  'get',
  'put',
  'post',
  'delete',
  'options',
  'head',
  'patch',
  'trace',
]);

interface OpenApi {
  readonly paths?: Readonly<Record<string, PathItem>> | null;
  readonly servers?: readonly { readonly url?: string }[];
}

interface PathItem {
  readonly parameters?: readonly Parameter[];
  /** Operations by method, and else what does not matter here. */
  readonly [name: string]: unknown;
}

interface Parameter {
  readonly $ref?: string;
  readonly name?: string;
  readonly in?: string;
  readonly required?: boolean;
  readonly example?: unknown;
  readonly examples?: Readonly<Record<string, { readonly value?: unknown }>>;
  readonly schema?: {
    readonly example?: unknown;
    readonly default?: unknown;
    readonly enum?: readonly unknown[];
  };
}

/** The path with its parameters; null where one that is needed has no value. */
function fill(path: string, parameters: readonly Parameter[], document: OpenApi): string | null {
  let filled = path;
  const query = new URLSearchParams();
  for (const each of parameters) {
    const parameter = resolved(each, document);
    const value = givenFor(parameter);
    const { name = '', in: where, required } = parameter;
    if (value === undefined && (where === 'path' || required === true)) return null;
    if (value === undefined) continue;
    if (where === 'path') filled = filled.replaceAll(`{${name}}`, encodeURIComponent(String(value)));
    else if (where === 'query' && required === true) query.append(name, String(value));
    else if (required === true) return null;
  }
  if (filled.includes('{')) return null;
  return query.size === 0 ? filled : `${filled}?${query}`;
}

function resolved(parameter: Parameter, document: OpenApi): Parameter {
  const { $ref } = parameter;
  if ($ref === undefined || !$ref.startsWith('#/')) return parameter;
  const found = $ref
    .slice(2)
    .split('/')
    .reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], document);
  return (found as Parameter | undefined) ?? parameter;
}

function givenFor({ example, examples, schema }: Parameter): unknown {
  const [first] = Object.values(examples ?? {});
  return example ?? first?.value ?? schema?.example ?? schema?.default ?? schema?.enum?.[0];
}

function basePath(url: string | undefined): string {
  if (url === undefined) return '';
  const path = url.startsWith('/') ? url : URL.canParse(url) ? new URL(url).pathname : '';
  return path.replace(/\/$/, '');
}

/** @throws RomAgentError exit 66 where there is no such file */
export function readNamed(flag: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const { message } = cause as Error;
    throw new RomAgentError(`${flag} ${JSON.stringify(file)} cannot be read: ${message}`, {
      exitCode: exitCodes.moduleMissing,
      cause,
    });
  }
}

function onlySafe(
  all: readonly Sample[],
  { flag, file }: { readonly flag: string; readonly file: string },
): Chosen {
  const chosen = all.filter(({ method }) => safe.has(method));
  if (chosen.length === 0)
    throw wrong(flag, file, `${all.length} requests`, 'at least one request with GET or HEAD');
  return limited(chosen, all.length - chosen.length);
}

function limited(samples: readonly Sample[], others: number): Chosen {
  const seen = new Set<string>();
  const different = samples.filter(({ method, path }) => {
    const key = `${method} ${path}`;
    return !seen.has(key) && seen.add(key);
  });
  const surplus = Math.max(0, different.length - most);
  const words = [
    ...(others === 0
      ? []
      : [`${others} with another method than GET, or without values for their parameters`]),
    ...(surplus === 0 ? [] : [`${surplus} of ${different.length} paths`]),
  ];
  return { samples: different.slice(0, most), leftOut: words.length === 0 ? null : words.join(', ') };
}

function parsed(flag: string, file: string, text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value;
  } catch (cause) {
    throw wrong(flag, file, (cause as Error).message, 'JSON', cause);
  }
  throw wrong(flag, file, text.slice(0, 40), 'a JSON object');
}

function wrong(flag: string, file: string, value: string, expected: string, cause?: unknown): RomAgentError {
  const given = value === '' ? '' : `: ${JSON.stringify(value)}`;
  return new RomAgentError(`${flag} ${file}${given} is not right: expected ${expected}`, {
    exitCode: exitCodes.usage,
    cause,
  });
}
