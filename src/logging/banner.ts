import type { Mode } from '../settings/config.js';
import { printable } from './printable.js';

export interface BannerOptions {
  readonly name: string;
  readonly version: string;
  readonly mode: Mode;
  /** Workers that serve, at least 1. */
  readonly workers: number;
  /** Where they serve; none: the app is no server. */
  readonly urls: readonly string[];
  /** The master's. */
  readonly pid: number;
  readonly colour: boolean;
}

/** What a person sees on the terminal once all workers serve. For terminals only, never for a log. */
export function banner({ name, version, mode, workers, urls, pid, colour }: BannerOptions): string {
  const paint = (code: number, text: string) => (colour ? `\x1b[${code}m${text}\x1b[0m` : text);
  const does = urls.length === 0 ? 'run' : 'serve';
  const count = workers === 1 ? `1 worker ${does}s` : `${workers} workers ${does}`;
  return [
    '',
    `  ${paint(1, `${name} ${version}`)}  ${count} (${mode}, master ${pid})`,
    ...(urls.length === 0 ? [] : [`  ${paint(32, '➜')} ${paint(36, urls.map(printable).join('  '))}`]),
    `  ${paint(2, 'Ctrl+C drains and stops')}`,
    '',
    '',
  ].join('\n');
}
