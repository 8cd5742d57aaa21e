import { exitCodes, RomAgentError } from '../errors.js';
import type { Session } from './session.js';

/** ms between two looks */
const interval = 100;

export interface Waiting<T> {
  /** ms */
  readonly limit: number;
  /** The outcome, or null while there is none. */
  readonly look: () => Promise<T | null>;
  /** The limit starts anew. */
  readonly isExcused?: () => boolean;
  /** What is said when time is up. */
  readonly late: () => string;
}

/** @throws RomAgentError exit 75 when time is up */
export async function waitUntil<T>(
  { clock, sleep }: Session,
  { limit, look, isExcused = () => false, late }: Waiting<T>,
): Promise<T> {
  let deadline = clock() + limit;
  for (;;) {
    const outcome = await look();
    if (outcome !== null) return outcome;
    if (isExcused()) deadline = clock() + limit;
    if (clock() >= deadline) throw new RomAgentError(late(), { exitCode: exitCodes.tryAgain });
    await sleep(interval);
  }
}

/** A time of the daemon's configuration with some to spare, ms. */
export async function limitFrom(
  { client }: Session,
  setting: 'boot_timeout' | 'drain_timeout',
): Promise<number> {
  const value = (await client.config())[setting]?.value;
  return (typeof value === 'number' ? value : usual) + spare;
}

const usual = 30_000;
const spare = 10_000;
