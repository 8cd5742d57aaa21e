import { printable } from './printable.js';
import { foldStack, stackOnOneLine } from './stack.js';

export interface KeyValue {
  readonly key: string;
  /** Quoted where it has to be. */
  readonly value: string;
}

export interface KeyValues {
  readonly pairs: readonly KeyValue[];
  /** Stacks that are to follow on lines of their own, as they are. */
  readonly stacks: readonly string[];
}

interface SerializedError {
  readonly type: string;
  readonly message: string;
  readonly stack: string;
  readonly [field: string]: unknown;
}

/**
 * The fields of an entry as `key=value` pairs. Nested objects become dotted keys; arrays stay JSON. Of an
 * error `inline` makes one value out of the stack, `apart` hands the stack back beside the pairs; both fold it.
 */
export function keyValues(
  fields: Readonly<Record<string, unknown>>,
  { stacks: style }: { stacks: 'inline' | 'apart' },
): KeyValues {
  const pairs: KeyValue[] = [];
  const stacks: string[] = [];
  const add = (key: string, value: unknown): void => {
    if (value === undefined) return;
    if (isError(value)) addError(key, value);
    // Where the error itself is in another process.
    else if (key === 'stack' && typeof value === 'string') addStack(key, value);
    else if (isNested(value)) addAll(key, value);
    else pairs.push({ key, value: plain(value) });
  };
  const addStack = (key: string, stack: string, isMessage = false): void => {
    if (style === 'apart' && !isMessage) stacks.push(foldStack(stack));
    else pairs.push({ key, value: quoted(isMessage ? stack : stackOnOneLine(stack)) });
  };
  const addAll = (prefix: string, record: Readonly<Record<string, unknown>>): void => {
    for (const [key, value] of Object.entries(record)) add(`${prefix}.${cleanKey(key)}`, value);
  };
  const addError = (key: string, { type, message, stack, ...rest }: SerializedError): void => {
    addStack(key, stack || `${type}: ${message}`, stack === '');
    addAll(key, rest);
  };
  for (const [key, value] of Object.entries(fields)) add(cleanKey(key), value);
  return { pairs, stacks };
}

function plain(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  return printable(JSON.stringify(value) ?? String(value));
}

function quoted(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
  if (text !== '' && !/[\s"=\\\u0000-\u001f\u007f-\u009f]/.test(text)) return text;
  return `"${printable(text.replace(/[\\"]/g, '\\$&'))}"`;
}

function cleanKey(key: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
  return key === '' ? '_' : key.replace(/[\s"=\\\u0000-\u001f\u007f-\u009f]/g, '_');
}

function isNested(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0
  );
}

function isError(value: unknown): value is SerializedError {
  if (!isNested(value)) return false;
  return [value.type, value.message, value.stack].every((part) => typeof part === 'string');
}
