import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'plist';
import { repoRoot } from '../../support/process.js';

/** What the stand-in knows of launchd.plist(5). */
export interface Job {
  readonly Label: string;
  readonly ProgramArguments: readonly string[];
  readonly WorkingDirectory: string;
  readonly EnvironmentVariables: Readonly<Record<string, string>>;
  readonly RunAtLoad: boolean;
  readonly KeepAlive: { readonly SuccessfulExit: boolean };
  /** Seconds. */
  readonly ThrottleInterval: number;
  /** Seconds; 0 is for ever. */
  readonly ExitTimeOut: number;
  readonly ProcessType: string;
  readonly UserName: string;
  readonly GroupName: string;
  readonly Umask: number;
  readonly SoftResourceLimits: { readonly NumberOfFiles: number };
  readonly HardResourceLimits: { readonly NumberOfFiles: number };
  readonly StandardOutPath: string;
  readonly StandardErrorPath: string;
  readonly AbandonProcessGroup?: boolean;
}

/** The words between @ signs, without them. */
export type Placeholder = 'NODE' | 'LIBDIR' | 'USER' | 'GROUP' | 'LOGDIR' | 'STATEDIR';

export type Dictionary = Readonly<Record<string, unknown>>;

/** The text of the shipped plist. */
export function shippedText(): string {
  return readFileSync(join(repoRoot, 'launchd/org.rom-agent.plist'), 'utf8');
}

/** Throws where the text is no property list or its top is not a dictionary. */
export function parseDictionary(text: string): Dictionary {
  const value: unknown = parse(text);
  if (!isDictionary(value)) throw new Error('the top of the property list is not a dictionary');
  return value;
}

/**
 * The shipped plist with its placeholders filled in, as make install does it.
 * Throws where a key is missing or unknown to the stand-in: a key that it does not apply would be tested by nobody.
 */
export function loadJob(words: Readonly<Record<Placeholder, string>>): Job {
  const filled = shippedText().replace(
    /@([A-Z]+)@/g,
    (match, word: string) => words[word as Placeholder] ?? match,
  );
  const dictionary = parseDictionary(filled);
  for (const key of required) {
    if (!(key in dictionary)) throw new Error(`the plist has no ${key}, which the stand-in applies`);
  }
  for (const key of Object.keys(dictionary)) {
    if (!known.has(key)) throw new Error(`the plist has ${key}, which the stand-in cannot apply`);
  }
  return dictionary as unknown as Job;
}

export function isDictionary(value: unknown): value is Dictionary {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

const required = [
  'Label',
  'ProgramArguments',
  'WorkingDirectory',
  'EnvironmentVariables',
  'RunAtLoad',
  'KeepAlive',
  'ThrottleInterval',
  'ExitTimeOut',
  'ProcessType',
  'UserName',
  'GroupName',
  'Umask',
  'SoftResourceLimits',
  'HardResourceLimits',
  'StandardOutPath',
  'StandardErrorPath',
] as const satisfies readonly (keyof Job)[];

const known: ReadonlySet<string> = new Set<keyof Job>([...required, 'AbandonProcessGroup']);
