import { loadConfig } from '../../src/config/load.js';
import { ConfigError, type Problem } from '../../src/errors.js';
import { loadInput } from './load-input.js';

export type Flags = Readonly<Record<string, string>>;

/** What is wrong with a configuration of these flags. */
export async function problemsOf(flags: Flags): Promise<readonly Problem[]> {
  try {
    await loadConfig(loadInput({ flags }));
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}
