import { configurationChecks, portChecks } from './checks/configuration.js';
import { accessChecks, secretChecks, spaceChecks } from './checks/files.js';
import { launchdChecks } from './checks/launchd.js';
import { descriptorChecks, kernelChecks, nodeChecks, resourceChecks } from './checks/machine.js';
import { redisChecks } from './checks/redis.js';
import { refusalChecks } from './checks/refusals.js';
import { sandboxChecks, serviceChecks, socketChecks } from './checks/unit.js';
import { restartChecks, startChecks, stopChecks, watchdogChecks } from './checks/unit-lifetime.js';
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
  'the sandbox': refusalChecks,
  launchd: launchdChecks,
  port: portChecks,
  Redis: redisChecks,
  kernel: kernelChecks,
  resources: [...resourceChecks, ...descriptorChecks],
  files: [...accessChecks, ...spaceChecks, ...secretChecks],
};

export function examine(facts: Facts): readonly Finding[] {
  return Object.entries(subjects).flatMap(([subject, checks]) =>
    checks.flatMap((check) => check(facts)).map((outcome) => ({ subject, ...outcome })),
  );
}
