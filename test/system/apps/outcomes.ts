import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot } from '../../support/process.js';
import type { HostedApp } from './catalogue.js';
import type { Figures } from './life.js';

/** What came of an app in one run, as the page of the documents is made from it. */
export interface Outcome {
  /** Steps that failed, with the first line of the error. */
  readonly failures: Readonly<Record<string, string>>;
  /** ms */
  readonly figures: Figures;
}

/** What came of an app in every run since the tests were last compiled: `make apps` leaves one file for each app. */
export function outcomesOf({ name }: HostedApp): readonly Outcome[] {
  const file = fileOf(name);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Outcome[]) : [];
}

export interface OutcomeKeeper {
  /** The first error. */
  readonly error: Error | null;
  failed(step: string, error: Error): void;
  write(figures: Figures): void;
}

export function keepOutcome(app: HostedApp): OutcomeKeeper {
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
      mkdirSync(folder, { recursive: true });
      const all: readonly Outcome[] = [...outcomesOf(app), { failures, figures }];
      writeFileSync(fileOf(app.name), `${JSON.stringify(all, null, 2)}\n`);
    },
  };
}

export function fileName(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
}

const folder = join(repoRoot, 'build', 'apps');

function fileOf(name: string): string {
  return join(folder, `${fileName(name)}.json`);
}
