import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot } from '../../support/process.js';
import type { HostedApp } from './catalogue.js';
import type { Figures } from './life.js';

/** What came of an app, as the page of the documents is made from it. */
export interface Outcome {
  readonly name: string;
  /** Steps that failed, with the first line of the error. */
  readonly failures: Readonly<Record<string, string>>;
  /** ms */
  readonly figures: Figures;
}

/** Where `make apps` leaves one file for each app. */
export const outcomes: string = join(repoRoot, 'build', 'apps');

export interface OutcomeKeeper {
  /** The first error. */
  readonly error: Error | null;
  failed(step: string, error: Error): void;
  write(figures: Figures): void;
}

export function keepOutcome({ name }: HostedApp): OutcomeKeeper {
  const failures: Record<string, string> = {};
  let first: Error | null = null;
  return {
    get error() {
      return first;
    },
    failed: (step, error) => {
      first ??= error;
      failures[step] = error.message.split('\n')[0] ?? '';
    },
    write: (figures) => {
      mkdirSync(outcomes, { recursive: true });
      const outcome: Outcome = { name, failures, figures };
      writeFileSync(join(outcomes, `${fileName(name)}.json`), `${JSON.stringify(outcome, null, 2)}\n`);
    },
  };
}

export function fileName(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
}
