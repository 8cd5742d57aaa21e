import type { LogLevel } from '../settings/config.js';
import type { Level } from './format.js';

export const levels: readonly Level[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];

export function isEnabled(level: Level, least: LogLevel): boolean {
  return least !== 'silent' && levels.indexOf(level) >= levels.indexOf(least);
}
