import type { Account, Facts, SecretFile } from '../facts.js';
import { type Check, type Outcome, ok, problem, warning } from '../finding.js';

/** Whether others can read the secrets of the service, or write what decides about it. */
export const secretChecks: readonly Check[] = [secrets];

function secrets({ secrets, account }: Facts): readonly Outcome[] {
  return secrets.map((file) => secrecy(file, account));
}

function secrecy({ path, stats, names }: SecretFile, account: Account): Outcome {
  const mode = (stats.mode & 0o777).toString(8).padStart(4, '0');
  if ((stats.mode & 0o002) !== 0) {
    const found = `anybody may write it (${mode}), and so decide what the service runs`;
    return problem(path, found, `sudo chmod o-w ${path}`);
  }
  if (names.length === 0 || (stats.mode & 0o004) === 0) return ok(path, `mode ${mode}`);
  const found = `anybody may read it (${mode}), and it has ${names.join(', ')}`;
  return warning(path, found, closing(path, account));
}

/** A user that systemd makes is one of the others, so that what it reads itself cannot be closed to them. */
function closing(path: string, account: Account): string {
  return account.kind === 'dynamic' && path.endsWith('/.env')
    ? 'put them into /etc/default/rom-agent with mode 0600, which systemd reads as root'
    : `sudo chmod o-r ${path}`;
}
