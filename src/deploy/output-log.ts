import { appendFileSync, rmSync } from 'node:fs';

/** Bytes of the file, and of what is passed on: a command that never stops writing fills neither disk nor log. */
const mostInFile = 2 ** 20;
const mostPassedOn = 64 * 2 ** 10;

export interface OutputLog {
  /** @returns what is to be passed on, null: nothing */
  add(name: string, text: string): string | null;
}

/** What the commands of a deploy write, in a file of its own. */
export function outputLog(path: string): OutputLog {
  let inFile = 0;
  let passedOn = 0;
  rmSync(path, { force: true });
  return {
    add: (name, text) => {
      const line = `${name}: ${text}\n`;
      const bytes = Buffer.byteLength(line);
      if (inFile <= mostInFile) {
        inFile += bytes;
        const isLast = inFile > mostInFile;
        try {
          appendFileSync(path, isLast ? `(the rest is left out: more than ${mostInFile} bytes)\n` : line);
        } catch {
          // On a full disk the deploy fails by what it cannot write itself.
        }
      }
      if (passedOn > mostPassedOn) return null;
      passedOn += bytes;
      return passedOn > mostPassedOn ? `(the rest is in ${path})` : text;
    },
  };
}
