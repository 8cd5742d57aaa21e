import { EngineError, type Json } from '../backplane/engine.js';

/**
 * A copy of a value as JSON has it.
 *
 * @param at what the value is called
 * @throws EngineError `input`, with the path of what JSON would change or lose
 */
export function asJson(value: unknown, at: string): Json {
  check(value, at, []);
  return JSON.parse(JSON.stringify(value)) as Json;
}

function check(value: unknown, path: string, above: readonly object[]): void {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return;
    case 'number':
      if (!Number.isFinite(value)) throw notJson(path, String(value), 'a finite number, or null');
      return;
    case 'object':
      break;
    default:
      throw notJson(path, value === undefined ? 'undefined' : `a ${typeof value}`, 'a JSON value');
  }
  if (value === null) return;
  if (above.includes(value)) throw notJson(path, 'a reference to what it is in', 'a value without cycles');
  const inside = [...above, value];
  if (Array.isArray(value)) {
    // Also the holes.
    for (let index = 0; index < value.length; index++) check(value[index], `${path}[${index}]`, inside);
    return;
  }
  if (value instanceof Date)
    throw notJson(path, 'a Date', 'a text or a number: date.toISOString(), date.getTime()');
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer)
    throw notJson(path, `a ${nameOf(value)}`, "a text: buffer.toString('base64')");
  const prototype: unknown = Object.getPrototypeOf(value);
  const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null;
  if (!isPlain)
    throw notJson(
      path,
      `a ${nameOf(value)}`,
      'a plain object, an array, a text, a number, true, false or null',
    );
  for (const [name, each] of Object.entries(value)) {
    // JSON leaves it out, as whoever leaves out an optional field does.
    if (each !== undefined) check(each, pathOf(path, name), inside);
  }
}

function nameOf(value: object): string {
  return value.constructor?.name || 'object with a prototype of its own';
}

function pathOf(path: string, name: string): string {
  return /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(name) ? `${path}.${name}` : `${path}[${JSON.stringify(name)}]`;
}

function notJson(path: string, what: string, expected: string): EngineError {
  return new EngineError('input', `${path}: ${what} is not JSON: expected ${expected}`);
}
