import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { fixtures } from '../../support/process.js';

export interface Certificate {
  readonly key: Buffer;
  readonly cert: Buffer;
}

/** A fresh one for localhost. */
export async function certificate(): Promise<Certificate> {
  const url = pathToFileURL(join(fixtures, 'apps', 'certificate.mjs')).href;
  const module: { certificate(): Certificate } = await import(url);
  return module.certificate();
}
