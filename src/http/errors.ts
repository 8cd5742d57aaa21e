import { STATUS_CODES } from 'node:http';

const codes = {
  400: 'bad_request',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  405: 'method_not_allowed',
  408: 'request_timeout',
  413: 'content_too_large',
  415: 'unsupported_media_type',
  431: 'headers_too_large',
  500: 'internal_error',
  501: 'not_implemented',
  502: 'bad_gateway',
  503: 'unavailable',
  504: 'gateway_timeout',
} as const;

export type ErrorStatus = keyof typeof codes;

/** An answer other than success; its message is for the client to read, its cause is not. */
export class HttpError extends Error {
  readonly status: ErrorStatus;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: ErrorStatus, message: string, options: HttpErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = 'HttpError';
    this.status = status;
    this.headers = options.headers ?? {};
  }
}

export interface HttpErrorOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** The JSON of an error: `{"error":{"status":404,"code":"not_found","message":"..."}}` and a newline. */
export function renderError(status: ErrorStatus, message: string): string {
  return `${JSON.stringify({ error: { status, code: codes[status], message } })}\n`;
}

export function reasonOf(status: ErrorStatus): string {
  return STATUS_CODES[status] ?? '';
}
