import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ServiceRequest, SetupFacts } from '../../../src/setup/plan.js';
import { repoRoot } from '../../support/process.js';

/** A request for `shop` with what is given. */
export function request(given: Partial<ServiceRequest> = {}): ServiceRequest {
  return {
    name: 'shop',
    settings: { app: '/srv/shop/server.js', port: 3001 },
    environment: {},
    envFile: null,
    user: null,
    group: null,
    socket: false,
    ...given,
  };
}

/** A Linux host with nothing of rom-agent in it but the package that asks. */
export function facts(given: Partial<SetupFacts> = {}): SetupFacts {
  return {
    platform: 'linux',
    node: '/usr/bin/node',
    libdir: '/usr/lib/node_modules/rom-agent',
    templates: { service: null, socket: null },
    shipped: {
      service: '[Service]\nExecStart=@NODE@ @LIBDIR@/dist/cli/main.js serve\n',
      socket: '[Socket]\nListenStream=3000\n',
      plist: readFileSync(join(repoRoot, 'launchd/org.rom-agent.plist'), 'utf8'),
      newsyslog: readFileSync(join(repoRoot, 'packaging/newsyslog.conf'), 'utf8'),
    },
    hiddenFolder: null,
    writes: [],
    envFileVariables: {},
    ...given,
  };
}
