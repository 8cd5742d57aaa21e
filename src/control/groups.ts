import { readFileSync } from 'node:fs';

/** The name of a group as group(5) has it, else its number: directory services are not asked. */
export function groupName(gid: number, file = '/etc/group'): string {
  return nameIn(file, gid) ?? `with the number ${gid}`;
}

/** The name of a user as passwd(5) has it, else its number. */
export function userName(uid: number, file = '/etc/passwd'): string {
  return nameIn(file, uid) ?? `with the number ${uid}`;
}

function nameIn(file: string, id: number): string | undefined {
  try {
    const lines = readFileSync(file, 'utf8').split('\n');
    return lines.map((line) => line.split(':')).find((fields) => fields[2] === String(id))?.[0];
  } catch {
    return undefined;
  }
}
