import { oneOf, path, redisUrl, setting, text } from './kinds.js';

/** Of a fleet, and of a host in it. */
export const fleetName = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;

/** The section `[fleet]`. */
export const fleetSection = {
  'fleet.redis_url': setting({
    kind: redisUrl(),
    env: ['ROM_AGENT_FLEET_REDIS_URL', 'REDIS_URL'],
    default: null,
    unset: 'this host alone',
    example: 'rediss://rom-agent@redis.example.com:6379',
    fixed: true,
    description:
      'Redis or Valkey, through which several hosts are one [fleet](../explanation/fleet.md): `redis://`, `rediss://` (TLS) or `unix://`, with `USER:PASSWORD@` before the host for an ACL user. `check`, `config`, log and status show it without user and password. `REDIS_URL` reaches the app, too; `ROM_AGENT_FLEET_REDIS_URL` does not.',
  }),
  'fleet.redis_url_file': setting({
    kind: path('the path of a file'),
    default: null,
    unset: 'none',
    example: '/etc/rom-agent/redis-url',
    fixed: true,
    description:
      'File that holds the URL, where a password is in it. It takes the place of `fleet.redis_url`.',
  }),
  'fleet.name': setting({
    kind: name(),
    default: null,
    computed: true,
    defaultText:
      "the service's name: `shop` of `rom-agent@shop`; of the plain service, or without one, the name in the nearest `package.json` of the app, else `rom-agent`",
    example: 'shop',
    fixed: true,
    description:
      'Name of the fleet: hosts with the same name and the same Redis belong together. Keys in Redis begin with `{rom-agent:NAME}:`.',
  }),
  'fleet.host': setting({
    kind: name(),
    default: null,
    unset: "the machine's host name",
    example: 'web-1',
    fixed: true,
    description: 'Name of this host in the fleet. No two hosts may have the same.',
  }),
  'fleet.tls_ca': setting({
    kind: path('the path of a file'),
    default: null,
    unset: "Node's authorities",
    example: '/etc/rom-agent/redis-ca.pem',
    fixed: true,
    description: "With `rediss://`: PEM file of the authorities that may sign Redis' certificate.",
  }),
  'fleet.canary_host': setting({
    kind: name(),
    default: null,
    unset: 'the first by name',
    example: 'web-1',
    fixed: true,
    description: 'The host with which `rom-agent reload --fleet` and `rom-agent deploy --fleet` begin.',
  }),
  'fleet.reload': setting({
    kind: oneOf('one-at-a-time', 'any'),
    default: 'one-at-a-time',
    fixed: true,
    description:
      '`one-at-a-time`: a reload waits while another host of the fleet reloads. `any`: it does not. Without Redis a reload goes on alone, with a warning.',
  }),
} as const;

function name() {
  return text({
    pattern: fleetName,
    expected: '1 to 63 letters, digits, ".", "-" and "_" that begin with a letter or a digit',
  });
}
