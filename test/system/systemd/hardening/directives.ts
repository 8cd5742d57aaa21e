import { inside } from '../machine.js';
import { unitText } from '../shipped-unit.js';

/** The directives of the shipped unit that take something from the service; all of one name belong together. */
export function sandboxOfUnit(): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  for (const line of sandboxLines()) {
    const name = line.slice(0, line.indexOf('='));
    found.set(name, [...(found.get(name) ?? []), line]);
  }
  return found;
}

/** Those that need another: the number is of the filter, and without a /tmp of its own that is read-only, too. */
const companions: Readonly<Record<string, string>> = {
  SystemCallErrorNumber: 'SystemCallFilter',
  ProtectSystem: 'PrivateTmp',
};

/** The shipped unit without its sandbox, but for one directive, as a user that every Debian has. */
export function unitWithOnly(name: string): string {
  const sandbox = sandboxOfUnit();
  const kept = [name, companions[name] ?? ''].flatMap((one) => sandbox.get(one) ?? []);
  const user = name === 'DynamicUser' ? [] : ['DynamicUser=no', 'User=daemon', 'Group=daemon'];
  const gone = new Set(sandboxLines());
  const rest = unitText({ node: inside.node, libdir: inside.repo })
    .split('\n')
    .filter((line) => !gone.has(line));
  return rest.join('\n').replace('\n[Install]', `${[...kept, ...user].join('\n')}\n\n[Install]`);
}

const names =
  /^(?:DynamicUser|UMask|NoNewPrivileges|CapabilityBoundingSet|AmbientCapabilities|Protect\w+|Private\w+|Restrict\w+|DevicePolicy|KeyringMode|RemoveIPC|LockPersonality|SystemCall\w+)=/;

function sandboxLines(): string[] {
  return unitText()
    .split('\n')
    .filter((line) => names.test(line));
}
