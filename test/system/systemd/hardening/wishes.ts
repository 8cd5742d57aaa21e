import type { Machine } from '../machine.js';

/** What an app of fixtures/systemd/refused.cjs wishes, which directive refuses it, and what opens that. */
export interface Wish {
  readonly wish: string;
  readonly directive: string;
  /** Of the drop-in that doctor tells, under [Service]; empty: no unit can help. */
  readonly lines: readonly string[];
  /** What a drop-in has closed in addition, in the matter of directives that the unit does not have. */
  readonly closed?: readonly string[];
  /** Why the app does not serve with it, all the same. */
  readonly stays?: string;
}

const ownUser = ['DynamicUser=no', 'User=NAME'];

export const wishes: readonly Wish[] = [
  {
    wish: 'files',
    directive: 'ProtectSystem',
    lines: ['StateDirectory=rom-agent/uploads', 'BindPaths=/var/lib/rom-agent/uploads:/srv/shop/uploads'],
  },
  {
    wish: 'home',
    directive: 'ProtectHome',
    lines: ['ProtectHome=tmpfs', 'BindReadOnlyPaths=/home/ann/shop'],
  },
  { wish: 'tmp', directive: 'PrivateTmp', lines: [...ownUser, 'PrivateTmp=no'] },
  {
    wish: 'device',
    directive: 'PrivateDevices',
    lines: ['PrivateDevices=no', 'DeviceAllow=/dev/sensor rw'],
  },
  { wish: 'processes', directive: 'ProtectProc', lines: ['ProtectProc=default'] },
  { wish: 'kernel', directive: 'ProtectKernelTunables', lines: [] },
  { wish: 'group', directive: 'RestrictSUIDSGID', lines: [...ownUser, 'RestrictSUIDSGID=no'] },
  { wish: 'user', directive: 'User', lines: ownUser, stays: 'the app has to leave that to the unit' },
  { wish: 'priority', directive: 'SystemCallFilter', lines: ['SystemCallFilter=setpriority'] },
  { wish: 'owner', directive: 'SystemCallFilter', lines: ['SystemCallFilter=@chown'] },
  {
    wish: 'namespaces',
    directive: 'RestrictNamespaces',
    lines: ['RestrictNamespaces=user pid net', 'SystemCallFilter=@mount chroot'],
  },
  {
    wish: 'interfaces',
    directive: 'RestrictAddressFamilies',
    lines: ['RestrictAddressFamilies=AF_NETLINK'],
    closed: ['RestrictAddressFamilies=~AF_NETLINK'],
  },
  { wish: 'memory', directive: 'ProcSubset', lines: ['ProcSubset=all'], closed: ['ProcSubset=pid'] },
  {
    wish: 'owner',
    directive: 'SystemCallErrorNumber',
    lines: ['SystemCallErrorNumber=EPERM'],
    closed: ['SystemCallErrorNumber=kill'],
    stays: 'chown() is refused as before, with an error that says so',
  },
];

/** What the wishes are about is there outside of the sandbox, and everybody may use it. */
export async function grantable(machine: Machine): Promise<void> {
  const script = `install -d /home/ann/shop /srv/shop/uploads; echo key > /home/ann/shop/key
    [ -e /dev/sensor ] || { : > /dev/sensor; mount --bind /dev/null /dev/sensor; }
    chmod 755 /home/ann`;
  await machine.must(['sh', '-c', script]);
}
