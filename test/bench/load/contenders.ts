import { mainPath } from '../../support/process.js';

/** A setting of the daemon that is measured beside another one. */
export interface Contender {
  readonly name: string;
  /** After `node`. */
  readonly args: (port: number) => readonly string[];
  readonly env: (port: number) => Readonly<Record<string, string>>;
}

/** What it logs when all workers listen. */
export const readyLine = /serving with \d+ workers/;

export const daemon: Contender = {
  name: 'rom-agent',
  args: (port) => [mainPath, 'serve', '--workers', '2', '--port', `${port}`],
  env: () => ({}),
};
