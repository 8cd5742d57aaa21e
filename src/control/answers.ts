import type { ServerResponse } from 'node:http';
import { apiVersion, jsonType, versionHeader } from './protocol.js';

const codes = {
  400: 'bad_request',
  404: 'not_found',
  405: 'method_not_allowed',
  406: 'not_acceptable',
  408: 'request_timeout',
  409: 'refused',
  413: 'content_too_large',
  415: 'unsupported_media_type',
  431: 'headers_too_large',
  500: 'internal_error',
  503: 'unavailable',
} as const;

export type ErrorStatus = keyof typeof codes;

/** One field of a request that is not right. */
export interface FieldProblem {
  readonly field: string;
  /** As it was sent. */
  readonly value: unknown;
  readonly expected: string;
}

/** An answer other than success; its message is for the client to read, its cause is not. */
export class ControlError extends Error {
  readonly status: ErrorStatus;
  readonly headers: Readonly<Record<string, string>>;
  readonly problems: readonly FieldProblem[];

  constructor(status: ErrorStatus, message: string, options: ControlErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = 'ControlError';
    this.status = status;
    this.headers = options.headers ?? {};
    this.problems = options.problems ?? [];
  }
}

export interface ControlErrorOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly problems?: readonly FieldProblem[];
  readonly cause?: unknown;
}

/** 400 for fields that are not right. */
export function badFields(problems: readonly FieldProblem[]): ControlError {
  const sentences = problems.map(
    ({ field, value, expected }) =>
      `${field}: ${shown(JSON.stringify(value))} is not right: expected ${expected}`,
  );
  return new ControlError(400, sentences.join('; '), { problems });
}

/** The JSON of an error and a newline: `{"error":{"status":409,"code":"refused","message":"..."}}`. */
export function renderError({ status, message, problems }: ControlError): string {
  const fields = problems.length === 0 ? {} : { problems };
  return `${JSON.stringify({ error: { status, code: codes[status], message, ...fields } })}\n`;
}

export const commonHeaders: Readonly<Record<string, string>> = {
  [versionHeader]: apiVersion,
  'Cache-Control': 'no-store',
};

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  sendText(response, { status, body: `${JSON.stringify(value)}\n`, headers: {} });
}

/** Answers, unless an answer has begun: that one is cut, for it cannot be taken back. */
export function sendError(response: ServerResponse, error: ControlError): void {
  if (response.headersSent) response.destroy();
  else sendText(response, { status: error.status, body: renderError(error), headers: error.headers });
}

/** A value as it may stand in a sentence. */
export function shown(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}...` : text;
}

function sendText(
  response: ServerResponse,
  { status, body, headers }: { status: number; body: string; headers: Readonly<Record<string, string>> },
): void {
  response.writeHead(status, {
    ...commonHeaders,
    ...headers,
    'Content-Type': jsonType,
    'Content-Length': Buffer.byteLength(body),
  });
  response.end(body);
}
