import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';

/** A file of the page. */
export interface PageFile {
  readonly body: Buffer;
  readonly type: string;
  /** `Cache-Control` */
  readonly cache: string;
  /** What its Content-Security-Policy allows inline, such as `'sha256-...'`; empty: nothing. */
  readonly styles: readonly string[];
}

const types: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
};

/**
 * The files of the page by their paths, as packaging/bundle-page.mjs has written them, some hundred kilobytes. They are read
 * once: an upgrade in place cannot mix two builds, and no path of a request reaches the file system.
 */
export function loadPages(folder: string): ReadonlyMap<string, PageFile> {
  const pages = new Map<string, PageFile>();
  const put = (path: string, file: string, cache: string): void => {
    const type = types[extname(file)];
    if (type === undefined) return;
    const body = readFileSync(join(folder, file));
    pages.set(path, {
      body,
      type,
      cache,
      styles: extname(file) === '.html' ? stylesIn(body.toString()) : [],
    });
  };
  // Without it there is still the API. It is sent with what is known of the service at that moment.
  const names = entries(folder);
  if (names.includes('index.html')) put('/', 'index.html', 'no-store');
  for (const name of entries(join(folder, 'assets')))
    put(`/assets/${name}`, join('assets', name), 'private, max-age=31536000, immutable');
  return pages;
}

function entries(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** The hashes of the styles that stand in a page of our own build. Source: https://www.w3.org/TR/CSP3/#grammardef-hash-source */
function stylesIn(html: string): readonly string[] {
  return [...html.matchAll(/<style>(.*?)<\/style>/gs)].map(
    ([, style = '']) => `'sha256-${createHash('sha256').update(style).digest('base64')}'`,
  );
}
