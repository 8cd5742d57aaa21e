import { extname } from 'node:path';
import type { ReadFile } from './sources.js';

/** A program that Node does not run. */
export interface ForeignProgram {
  /** `Python`; `other programs` where only that much is known. */
  readonly language: string;
  /** What runs it, as in ExecStart=. */
  readonly command: string;
}

const languages: readonly {
  readonly language: string;
  readonly interpreter: string;
  readonly extensions: readonly string[];
  /** In the first line. A shell is in none: many a script of Node begins as one of the shell that starts Node. */
  readonly shebang?: RegExp;
}[] = [
  {
    language: 'Python',
    interpreter: '/usr/bin/python3',
    extensions: ['.py', '.pyc'],
    shebang: /\bpython[\d.]*\b/,
  },
  { language: 'Ruby', interpreter: '/usr/bin/ruby', extensions: ['.rb'], shebang: /\bruby\b/ },
  { language: 'Perl', interpreter: '/usr/bin/perl', extensions: ['.pl'], shebang: /\bperl\b/ },
  { language: 'PHP', interpreter: '/usr/bin/php', extensions: ['.php'], shebang: /\bphp\b/ },
  { language: 'Lua', interpreter: '/usr/bin/lua', extensions: ['.lua'], shebang: /\blua\b/ },
  { language: 'shell scripts', interpreter: '/bin/sh', extensions: ['.sh', '.bash'] },
  { language: 'Java', interpreter: '/usr/bin/java -jar', extensions: ['.jar'] },
];

/** The program that an app's file is, where it is none for Node: by its name, else by its first line; null: Node's. */
export function foreignProgram(path: string, readFile: ReadFile): ForeignProgram | null {
  const extension = extname(path);
  const named = languages.find(({ extensions }) => extensions.includes(extension));
  if (named !== undefined) return { language: named.language, command: `${named.interpreter} ${path}` };
  // What Node takes for a module by its name is none of our business.
  if (extension !== '') return null;
  const text = beginning(path, readFile);
  if (text.startsWith('\x7fELF')) return { language: 'other programs', command: path };
  const line = /^#!.*/.exec(text)?.[0] ?? '';
  const found = languages.find(({ shebang }) => shebang?.test(line) === true);
  return found === undefined ? null : { language: found.language, command: path };
}

function beginning(path: string, readFile: ReadFile): string {
  try {
    return readFile(path).slice(0, 200);
  } catch {
    // A missing file is told of elsewhere, and a folder is a package.
    return '';
  }
}
