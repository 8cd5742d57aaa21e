import { accessChecks } from './checks/access.js';
import { configurationChecks } from './checks/configuration.js';
import { descriptorChecks } from './checks/descriptors.js';
import { kernelChecks } from './checks/kernel.js';
import { launchdChecks } from './checks/launchd.js';
import { nodeChecks } from './checks/node.js';
import { portChecks } from './checks/port.js';
import { resourceChecks } from './checks/resources.js';
import { restartChecks } from './checks/restart.js';
import { sandboxChecks } from './checks/sandbox.js';
import { secretChecks } from './checks/secrets.js';
import { serviceChecks } from './checks/service.js';
import { socketChecks } from './checks/socket.js';
import { spaceChecks } from './checks/space.js';
import { startChecks } from './checks/start.js';
import { stopChecks } from './checks/stop.js';
import { watchdogChecks } from './checks/watchdog.js';
import type { Facts } from './facts.js';
import type { Check, Finding } from './finding.js';

/** In the order in which one would look: what it is to do, what it runs on, who keeps it, what it may take. */
const subjects: Readonly<Record<string, readonly Check[]>> = {
  configuration: configurationChecks,
  Node: nodeChecks,
  systemd: [
    ...serviceChecks,
    ...startChecks,
    ...stopChecks,
    ...watchdogChecks,
    ...restartChecks,
    ...sandboxChecks,
    ...socketChecks,
  ],
  launchd: launchdChecks,
  port: portChecks,
  kernel: kernelChecks,
  resources: [...resourceChecks, ...descriptorChecks],
  files: [...accessChecks, ...spaceChecks, ...secretChecks],
};

export function examine(facts: Facts): readonly Finding[] {
  return Object.entries(subjects).flatMap(([subject, checks]) =>
    checks.flatMap((check) => check(facts)).map((outcome) => ({ subject, ...outcome })),
  );
}
