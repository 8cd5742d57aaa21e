import { spawnSync } from 'node:child_process';

/** What Node's own look at a file may take, ms. */
const limit = 5_000;

/**
 * Where a syntax error is, as `file:line`; null where that cannot be told. For CommonJS Node writes the place above the
 * stack. For an ES module it keeps it from programs and prints it on a terminal only, so that another Node is asked.
 *
 * @param main the app's own file, the one that is looked at; none of those that it imports
 */
export function syntaxErrorAt({ stack = '' }: Error, main = process.argv[1]): string | null {
  const [above = ''] = stack.split('\n', 1);
  // JSON.parse() and eval() throw syntax errors, too, while the service runs: no file of the app is to blame then.
  const ofModule = main !== undefined && stack.includes('node:internal/modules/esm');
  return placeIn(above) ?? (ofModule ? placeIn(check(main)) : null);
}

function check(file: string): string {
  const { stderr } = spawnSync(process.execPath, ['--check', file], {
    encoding: 'utf8',
    timeout: limit,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  return stderr ?? '';
}

function placeIn(text: string): string | null {
  const match = /^(?:file:\/\/)?(\/.*:\d+)$/m.exec(text);
  return match?.[1] ?? null;
}
