/** A way to systemd's socket that never waits: see sd_notify(3). */
export interface NotifySender {
  /** Sends it now, or as soon as the socket takes it; where there is nobody at that address, never. */
  send(state: string): void;
}

/** A socket that datagrams go to. */
export interface Datagrams {
  /** Whether it has been taken. @throws where it never will be */
  trySend(data: Buffer): boolean;
  /** Whether something that was taken has not been read yet. */
  hasUnread(): boolean;
}

/** ms between two attempts at a socket that is full: as long as nobody reads it. */
const retryInterval = 200;
/** Beyond these the oldest is dropped. */
const mostWaiting = 32;

export interface SenderOptions {
  readonly later?: (act: () => void) => void;
  /** Called once, when the socket has refused the datagrams that wait for the second time. */
  readonly onUnread?: (waiting: readonly string[]) => void;
}

/**
 * Sends in order. What the socket does not take waits, without keeping the process or its event loop; a datagram that says
 * the same as one that waits takes its place.
 */
export function createSender(
  datagrams: Pick<Datagrams, 'trySend'>,
  { later = inAWhile, onUnread = () => {} }: SenderOptions = {},
): NotifySender {
  let waiting: string[] = [];
  let told = false;
  const flush = (): void => {
    while (waiting[0] !== undefined && datagrams.trySend(Buffer.from(waiting[0]))) waiting.shift();
    if (waiting.length > 0) later(() => attempt(again));
  };
  const again = (): void => {
    flush();
    if (waiting.length === 0 || told) return;
    told = true;
    onUnread(waiting);
  };
  const attempt = (act: () => void): void => {
    try {
      act();
    } catch {
      // Nobody is there any more: what waited was for them.
      waiting = [];
    }
  };
  return {
    send: (state) => {
      const isWaiting = waiting.length > 0;
      waiting = [...waiting.filter((other) => other !== state), state].slice(-mostWaiting);
      if (!isWaiting) attempt(flush);
    },
  };
}

function inAWhile(act: () => void): void {
  setTimeout(act, retryInterval).unref();
}

/**
 * By way of koffi, which calls the C library and comes compiled. The constants are those of Linux on x64 and arm64.
 *
 * @param address NOTIFY_SOCKET: a path, or `@` and a name of the abstract namespace
 * @throws where no socket can be opened
 */
export function unixDatagrams(koffi: Koffi, address: string): Datagrams {
  const sendto = koffi
    .load(null)
    .func(
      'long sendto(int fd, const void *data, unsigned long size, int flags, const void *to, unsigned int length)',
    );
  const ioctl = koffi.load(null).func('int ioctl(int fd, unsigned long request, void *answer)');
  const fd = openSocket(koffi, address);
  const to = socketAddress(address);
  const unread = Buffer.alloc(4);
  return {
    trySend: (data) => {
      if (sendto(fd, data, data.length, msgDontwait | msgNosignal, to, to.length) >= 0) return true;
      const errno = koffi.errno();
      if (errno === eagain || errno === enobufs || errno === eintr) return false;
      throw new Error(`${address} takes no datagram: error ${errno}`);
    },
    hasUnread: () => ioctl(fd, siocoutq, unread) === 0 && unread.readInt32LE() > 0,
  };
}

/**
 * Sends with `sendState`, which blocks for up to ten seconds where the queue of the socket is full (libsystemd), only while
 * there is room: poll(2) tells for a socket that is connected to it.
 *
 * @throws where no socket can be opened
 */
export function whileThereIsRoom(
  koffi: Koffi,
  address: string,
  sendState: (state: string) => void,
): Pick<Datagrams, 'trySend'> {
  const libc = koffi.load(null);
  const connect = libc.func('int connect(int fd, const void *to, unsigned int length)');
  const poll = libc.func('int poll(void *fds, unsigned long count, int timeout)');
  const fd = openSocket(koffi, address);
  const to = socketAddress(address);
  const asked = pollOut(fd);
  return {
    trySend: (data) => {
      // Connected anew each time, since another process may have bound the address. Where connecting fails, sending fails
      // at once too.
      if (connect(fd, to, to.length) === 0 && poll(asked, 1, 0) === 0) return false;
      sendState(data.toString());
      return true;
    },
  };
}

function openSocket(koffi: Koffi, address: string): number {
  const socket = koffi.load(null).func('int socket(int domain, int type, int protocol)');
  const fd = socket(afUnix, sockDgram | sockCloexec, 0);
  if (fd < 0) throw new Error(`no socket for ${address}: error ${koffi.errno()}`);
  return fd;
}

/** struct pollfd, as poll(2) has it. */
function pollOut(fd: number): Buffer {
  const asked = Buffer.alloc(8);
  asked.writeInt32LE(fd, 0);
  asked.writeInt16LE(pollout, 4);
  return asked;
}

/** struct sockaddr_un, as unix(7) has it. */
export function socketAddress(address: string): Buffer {
  const isAbstract = address.startsWith('@');
  const path = isAbstract ? Buffer.from(`\0${address.slice(1)}`) : Buffer.from(`${address}\0`);
  const family = Buffer.alloc(2);
  family.writeUInt16LE(afUnix);
  return Buffer.concat([family, path]);
}

const afUnix = 1;
const sockDgram = 2;
const sockCloexec = 0o2000000;
const msgDontwait = 0x40;
const msgNosignal = 0x4000;
const pollout = 4;
/** Bytes that the other side has not read: unix_ioctl in net/unix/af_unix.c of Linux. */
const siocoutq = 0x5411;
const eintr = 4;
const eagain = 11;
const enobufs = 105;

/** What is used of it: https://koffi.dev */
export interface Koffi {
  load(path: null): { func(definition: string): (...args: readonly unknown[]) => number };
  errno(): number;
}
