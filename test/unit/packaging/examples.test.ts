import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { table } from '../../../src/settings/table.js';
import { repoRoot } from '../../support/process.js';

const drain = Number(table.drain_timeout.default) / 1000;
const boot = Number(table.boot_timeout.default) / 1000;
/** Beside the drain: workers are told, and the last ones killed; s. */
const margin = 10;

const files = {
  compose: read('container', 'compose.yaml'),
  dockerfile: read('container', 'Dockerfile'),
  deployment: read('kubernetes', 'deployment.yaml'),
  nginx: read('nginx', 'rom-agent.conf'),
};

test('Docker and Kubernetes wait longer than a drain takes by default', () => {
  const { compose, deployment } = files;
  assert.ok(number(compose, /stop_grace_period: (\d+)s/) >= drain + margin);
  const lameDuck = number(deployment, /ROM_AGENT_LAME_DUCK\s+value: (\d+)s/);
  assert.ok(number(deployment, /terminationGracePeriodSeconds: (\d+)/) >= lameDuck + drain + margin);
});

test('a container has longer to start than the first workers may take by default', () => {
  const { compose, dockerfile, deployment } = files;
  assert.ok(number(dockerfile, /--start-period=(\d+)s/) > boot);
  assert.ok(number(compose, /start_period: (\d+)s/) > boot);
  const [, probe = ''] = /startupProbe:([\s\S]*?)readinessProbe/.exec(deployment) ?? [];
  assert.ok(number(probe, /periodSeconds: (\d+)/) * number(probe, /failureThreshold: (\d+)/) > boot);
});

test('the image is built with every file that the packing of the code imports', () => {
  const [, copied = ''] = /^COPY (packaging\/.*) \.\/packaging\/$/m.exec(files.dockerfile) ?? [];
  const imported = (name: string): readonly string[] => [
    name,
    ...[...read(name).matchAll(/^import .* from '\.\/([^']+)';$/gm)].flatMap(([, next = '']) =>
      imported(next),
    ),
  ];
  const wanted = imported('bundle.mjs').map((name) => `packaging/${name}`);
  assert.deepEqual(copied.split(' ').sort(), wanted.sort());
  const kept = read('container', 'Dockerfile.dockerignore').split('\n');
  assert.deepEqual(
    wanted.filter((name) => !kept.includes(`!${name}`)),
    [],
  );
});

test('the copyright file of the package for Debian has a reference for each copy of the Apache License, indented or not', () => {
  const license = join(repoRoot, 'LICENSE');
  const text = readFileSync(license, 'utf8');
  const folder = mkdtempSync(join(tmpdir(), 'rom-agent-copyright-'));
  const all = join(folder, 'licenses.txt');
  writeFileSync(all, `== one\n\n${text}\n== two\n\n${text.replaceAll(/^[ \t]+/gm, '')}\n`);
  const script = join(repoRoot, 'packaging', 'deb', 'copyright.mjs');
  const { stdout } = spawnSync(process.execPath, [script, all, license], { encoding: 'utf8' });
  rmSync(folder, { recursive: true });
  assert.doesNotMatch(stdout, /TERMS AND CONDITIONS/);
  assert.equal([...stdout.matchAll(/common-licenses\/Apache-2\.0/g)].length, 2);
  assert.match(stdout, /^== two$/m);
});

test('the probe of liveness waits longer than rom-agent takes to replace a worker that hangs', () => {
  const [, probe = ''] = /livenessProbe:([\s\S]*?)resources/.exec(files.deployment) ?? [];
  const lasts = number(probe, /periodSeconds: (\d+)/) * number(probe, /failureThreshold: (\d+)/);
  assert.ok(lasts > Number(table.hang_timeout.default) / 1000 + boot);
});

test('the ports of the examples are the default one', () => {
  const port = Number(table.port.default);
  assert.equal(number(files.dockerfile, /EXPOSE (\d+)/), port);
  assert.equal(number(files.compose, /PORT: "(\d+)"/), port);
  assert.equal(number(files.deployment, /containerPort: (\d+)/), port);
  assert.equal(number(files.nginx, /server 127\.0\.0\.1:(\d+);/), port);
});

test('the image, the compose file and the manifests name one account and the routes of one prefix', () => {
  const { dockerfile, deployment } = files;
  assert.equal(number(dockerfile, /USER (\d+):/), number(deployment, /runAsUser: (\d+)/));
  const prefix = /ROM_AGENT_ROUTES_PREFIX\s+value: (\S+)/.exec(deployment)?.[1];
  const paths = [...deployment.matchAll(/path: (\S+)/g)].map(([, path]) => path);
  assert.deepEqual(new Set(paths), new Set([`${prefix}/readyz`, `${prefix}/healthz`]));
});

test('the compose file checks health as the image does', () => {
  const { compose, dockerfile } = files;
  for (const [flag, key] of [
    ['interval', 'interval'],
    ['timeout', 'timeout'],
    ['start-period', 'start_period'],
    ['retries', 'retries'],
  ])
    assert.equal(
      number(dockerfile, new RegExp(`--${flag}=(\\d+)`)),
      number(compose, new RegExp(`\\n      ${key}: (\\d+)`)),
      flag,
    );
});

function read(...path: string[]): string {
  return readFileSync(join(repoRoot, 'packaging', ...path), 'utf8');
}

function number(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1];
  assert.ok(found !== undefined, `${pattern} is not there`);
  return Number(found);
}
