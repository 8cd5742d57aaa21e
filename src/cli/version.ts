import { readFileSync } from 'node:fs';

const { version: declared } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as { version: string };

/** Of the package that this file was installed with. */
export const version: string = declared;
