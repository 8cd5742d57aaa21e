import type { ControlClient } from '../control/client.js';
import { RomAgentError } from '../errors.js';
import { printable } from '../logging/printable.js';

/**
 * Everything that a person is shown of workers, clients, records and errors of apps comes through here: what could steer
 * a terminal, or make one line look like two, is escaped.
 */
export function plain<T>(value: T): T {
  return escaped(value, null) as T;
}

/** A value as JSON that is safe to look at: the same document, with escapes where a terminal would act on a character. */
export function toJson(value: unknown, indent?: number): string {
  // Outside of strings JSON has no such character but the line break, which is ours.
  return JSON.stringify(value, null, indent)
    .split('\n')
    .map((line) => printable(line))
    .join('\n');
}

/** The client with all that it hands over made plain, its errors included. */
export function plainClient(client: ControlClient): ControlClient {
  const entries = Object.entries(client).map(([name, method]) => [name, plainMethod(method as Method)]);
  return Object.fromEntries(entries) as ControlClient;
}

type Method = (...given: unknown[]) => Promise<unknown>;

function plainMethod(method: Method): Method {
  return async (...given) => {
    const listening = given.map((argument) =>
      typeof argument === 'function' ? (told: unknown) => argument(plain(told)) : argument,
    );
    try {
      return plain(await method(...listening));
    } catch (error) {
      throw plainError(error);
    }
  };
}

function plainError(error: unknown): unknown {
  if (!(error instanceof RomAgentError)) return error;
  const message = printable(error.message);
  if (message === error.message) return error;
  return new RomAgentError(message, { exitCode: error.exitCode, cause: error });
}

function escaped(value: unknown, key: string | null): unknown {
  if (typeof value === 'string') return key === 'stack' ? lines(value) : printable(value);
  if (Array.isArray(value)) return value.map((item) => escaped(item, key));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [printable(name), escaped(inner, name)]),
  );
}

/** A stack is several lines. */
function lines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}
