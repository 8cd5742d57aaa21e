import { createHash } from 'node:crypto';
import { isAbsolute } from 'node:path';
import { ConfigError, exitCodes, type Problem, RomAgentError } from '../errors.js';
import { type Key, keys, settingOf } from '../settings/settings.js';

/** A setting of the request, with the value that the table's kind has read from it. */
interface Entry {
  readonly key: Key;
  readonly literal: string;
}

/**
 * The configuration file for settings as TOML has them; a dot in a key stands for a section.
 *
 * @throws {ConfigError} with every setting that does not exist, is wrong, or is a relative path
 */
export function tomlOf(settings: Readonly<Record<string, unknown>>, service: string): string {
  const problems: Problem[] = [];
  const entries = Object.entries(settings).flatMap(([name, value]) => entryOf({ name, value, problems }));
  if (problems.length > 0) throw new ConfigError(problems);
  entries.sort((a, b) => keys.indexOf(a.key) - keys.indexOf(b.key));
  const sections = [...new Set(entries.map(({ key }) => sectionOf(key)))];
  // What belongs to no section must stand above the first one.
  sections.sort((a, b) => Number(a !== '') - Number(b !== ''));
  const blocks = sections.map((section) => {
    const own = entries.filter(({ key }) => sectionOf(key) === section);
    const lines = own.map(({ key, literal }) => `${key.slice(key.indexOf('.') + 1)} = ${literal}\n`);
    return `\n${section === '' ? '' : `[${section}]\n`}${lines.join('')}`;
  });
  return `# The configuration of the service ${service}. All settings: docs/reference/settings.md\n${blocks.join('')}`;
}

function entryOf({
  name,
  value,
  problems,
}: {
  readonly name: string;
  readonly value: unknown;
  readonly problems: Problem[];
}): Entry[] {
  const source = 'the request';
  const key = keys.find((each) => each === name);
  if (key === undefined) {
    problems.push({ field: name, value, source, expected: 'a setting that exists' });
    return [];
  }
  const { kind } = settingOf(key);
  const parsed = kind.parse(value, 'toml');
  if (parsed === undefined) {
    problems.push({ field: key, value, source, expected: kind.expectedFor?.(value) ?? kind.expected });
    return [];
  }
  if (kind.isPath === true && !isAbsolute(String(parsed))) {
    problems.push({ field: key, value, source, expected: 'an absolute path' });
    return [];
  }
  return [{ key, literal: kind.literal(parsed) }];
}

function sectionOf(key: Key): string {
  return key.includes('.') ? (key.split('.')[0] ?? '') : '';
}

/**
 * Variables as systemd reads them from a file: systemd.exec(5), EnvironmentFile=. A value in single quotes is taken as it
 * is; one that holds a single quote stands in double quotes.
 *
 * @throws RomAgentError exit 64 for a name or a value that no environment can hold
 */
export function environmentText(environment: Readonly<Record<string, string>>): string {
  const lines = Object.entries(environment).map(([name, value]) => {
    checkVariable(name, value);
    return `${name}=${quoted(value)}\n`;
  });
  return lines.join('');
}

/** @throws RomAgentError exit 64 */
export function checkVariable(name: string, value: string): void {
  if (/^[A-Za-z_]\w*$/.test(name) && !value.includes('\0')) return;
  throw new RomAgentError(
    `the variable ${JSON.stringify(name)} of the service is not right: expected a name of letters, digits and "_", and a value without a NUL`,
    { exitCode: exitCodes.usage },
  );
}

function quoted(value: string): string {
  if (/^[\w@%+=:,./-]*$/.test(value)) return value;
  if (!value.includes("'")) return `'${value}'`;
  return `"${value.replaceAll(/["\\$`]/g, '\\$&')}"`;
}

/**
 * A path as a word of a list in a unit: systemd.syntax(7). `%` begins a specifier, and a colon separates the two sides of
 * a bind mount.
 *
 * @throws RomAgentError exit 64 where the path cannot be written there
 */
export function unitPath(path: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these would end the line
  if (/[\x00-\x1f\x7f:]/.test(path))
    throw new RomAgentError(
      `the path ${JSON.stringify(path)} cannot be written into a unit: expected one without colons and control characters`,
      { exitCode: exitCodes.usage },
    );
  const word = path.replaceAll('%', '%%');
  return /^[\w@+=,./%-]+$/.test(word) ? word : `"${word.replaceAll(/["\\]/g, '\\$&')}"`;
}

export function xmlText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** Whose a file is: written by `install` and as it was then, written and edited since, or somebody else's. */
export type Ownership = 'ours' | 'edited' | 'foreign';

/** How a file says what is no content. */
export type CommentStyle = 'hash' | 'xml';

const mark = 'Written by rom-agent install';

/**
 * The text with a line at its top that says who wrote it, with a checksum of the rest: `uninstall` removes what is as it
 * was written, and keeps what an administrator has changed. In XML the line follows the declarations.
 */
export function signed(text: string, style: CommentStyle = 'hash'): string {
  const line = `${mark}; what is changed here is kept by rom-agent uninstall. Checksum ${checksum(text)}`;
  if (style === 'hash') return `# ${line}\n${text}`;
  const at = text.indexOf('<plist');
  return `${text.slice(0, at)}<!-- ${line} -->\n${text.slice(at)}`;
}

export function ownershipOf(text: string): Ownership {
  const line = new RegExp(`^(?:# |<!-- )${mark}; .* Checksum ([0-9a-f]{12})(?: -->)?\\n`, 'm');
  const found = line.exec(text);
  if (found === null) return 'foreign';
  return checksum(text.replace(found[0], '')) === found[1] ? 'ours' : 'edited';
}

function checksum(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}
