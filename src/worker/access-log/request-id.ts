import { BlockList, isIP } from 'node:net';

/** What a client or a proxy may call a request; anything else is replaced. */
const acceptable = /^[\w.:+/=@-]{1,128}$/;

export function givenId(header: unknown): string | null {
  return typeof header === 'string' && acceptable.test(header) ? header : null;
}

const nothing = /^0+$/;

/** The trace of a `traceparent` header (https://www.w3.org/TR/trace-context/); null: there is none, or it is not valid. */
export function traceIdOf(traceparent: unknown): string | null {
  if (typeof traceparent !== 'string') return null;
  const [, version, trace = '', parent = '', more] =
    /^([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-[\da-f]{2}(-.*)?$/.exec(traceparent) ?? [];
  if (version === undefined || version === 'ff') return null;
  // Later versions may say more, the first one must not.
  if (version === '00' && more !== undefined) return null;
  return nothing.test(trace) || nothing.test(parent) ? null : trace;
}

/** Whether an address is that of a proxy of ours; undefined: a unix socket. */
export type IsTrusted = (address: string | undefined) => boolean;

/** @param proxies addresses, networks such as `10.0.0.0/8`, and `unix` for all who connect over a unix socket */
export function trustedProxies(proxies: readonly string[]): IsTrusted {
  const list = new BlockList();
  for (const proxy of proxies) {
    const [address = '', bits] = proxy.split('/');
    const family = familyOf(address);
    if (family === null) continue;
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  const trustsUnix = proxies.includes('unix');
  return (address) => {
    if (address === undefined) return trustsUnix;
    const plain = plainAddress(address);
    const family = familyOf(plain);
    return family !== null && list.check(plain, family);
  };
}

/**
 * The client's address: that of the connection, or behind trusted proxies the last of X-Forwarded-For that is not one of
 * them. A client can write anything into that header, but not behind what the first trusted proxy adds.
 */
export function clientOf(
  { address, forwardedFor }: { address: string | undefined; forwardedFor: unknown },
  isTrusted: IsTrusted,
): string | null {
  let client = address;
  if (typeof forwardedFor === 'string' && isTrusted(address)) {
    for (const hop of forwardedFor.split(',').reverse()) {
      const given = hop.trim().replace(/^\[(.*)\](:\d+)?$/, '$1');
      const next = /^[\d.]+:\d+$/.test(given) ? given.slice(0, given.indexOf(':')) : given;
      if (isIP(next) === 0) break;
      client = next;
      if (!isTrusted(next)) break;
    }
  }
  return client === undefined ? null : plainAddress(client);
}

/** An IPv4 address that came over an IPv6 socket. */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && isIP(address.slice(7)) === 4 ? address.slice(7) : address;
}

function familyOf(address: string): 'ipv4' | 'ipv6' | null {
  const family = isIP(address);
  return family === 0 ? null : family === 4 ? 'ipv4' : 'ipv6';
}
