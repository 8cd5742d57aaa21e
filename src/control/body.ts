import type { IncomingMessage } from 'node:http';
import { ControlError, shown } from './answers.js';
import { jsonType } from './protocol.js';

/** Bytes that a body may have. */
export const longestBody = 64 * 1024;

export type Fields = Readonly<Record<string, unknown>>;

/**
 * The fields of a JSON object; none where there is no body.
 *
 * @throws ControlError 400, 413 or 415
 */
export async function readBody(request: IncomingMessage): Promise<Fields> {
  const bytes = await collect(request);
  if (bytes.length === 0) return {};
  checkType(request);
  return parse(bytes);
}

async function collect(request: IncomingMessage): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > longestBody) throw tooLarge();
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    length += (chunk as Buffer).length;
    if (length > longestBody) throw tooLarge();
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

/** The rest is not read, so nothing else can come over this connection. */
function tooLarge(): ControlError {
  const message = `the body is too large: expected at most ${longestBody} bytes`;
  return new ControlError(413, message, { headers: { Connection: 'close' } });
}

function checkType({ headers }: IncomingMessage): void {
  const type = headers['content-type'];
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new ControlError(415, `Content-Encoding: ${shown(encoding)} is not right: expected none`);
  }
  if (!/^application\/json\s*(;\s*charset\s*=\s*"?utf-8"?\s*)?$/i.test(type?.trim() ?? '')) {
    const given = type === undefined ? 'nothing' : shown(type);
    throw new ControlError(415, `Content-Type: ${given} is not right: expected ${jsonType}`);
  }
}

function parse(bytes: Buffer): Fields {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    const why = cause instanceof SyntaxError ? `: ${shown(cause.message)}` : ': it is not UTF-8';
    throw new ControlError(400, `the body is not JSON${why}`, { cause });
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new ControlError(400, 'the body is not right: expected a JSON object, such as {"by":"alice"}');
  }
  return value as Fields;
}
