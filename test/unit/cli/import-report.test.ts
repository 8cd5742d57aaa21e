import assert from 'node:assert/strict';
import { test } from 'node:test';
import { documentOf } from '../../../src/cli/host/import-report.js';
import { appsOfFile } from '../../../src/setup/pm2/apps.js';
import { convert } from '../../../src/setup/pm2/convert.js';
import { prepareService } from '../../../src/setup/prepare.js';
import { loadInput } from '../../support/load-input.js';
import { FakeHost } from '../setup/fake-host.js';

test('import --json tells of each app what becomes of it, and names variables without their values', async () => {
  const { seam } = new FakeHost({ files: { '/srv/shop/server.js': '' } });
  const env = { PORT: 3001, DATABASE_PASSWORD: 'swordfish' };
  const job = { name: 'nightly', script: 'job.js', autorestart: false };
  const ecosystem = appsOfFile({ apps: [{ name: 'Shop', script: 'server.js', env }, job] }, '/srv/shop');
  assert.ok(ecosystem !== null);
  const seen = { ports: null, user: null };
  const imports = await Promise.all(
    ecosystem.apps.map(async (app) => {
      const { readFile } = seam;
      const circumstances = { kind: 'server', seen, environment: null, socket: false, readFile } as const;
      const conversion = convert(app, { ...circumstances, cpus: 2, node: '/usr/bin/node' });
      const { request } = conversion;
      const input = loadInput({ readFile });
      return { conversion, seen, prepared: request && (await prepareService(request, { seam, input })) };
    }),
  );
  const text = JSON.stringify(documentOf(imports, ecosystem));
  assert.ok(!text.includes('swordfish'), text);
  const { apps } = JSON.parse(text) as { apps: Record<string, unknown>[] };
  const [shop, nightly] = apps;
  assert.ok(shop !== undefined && nightly !== undefined);
  assert.deepEqual([shop.app, shop.service, shop.kind], ['Shop', 'shop', 'server']);
  const { environment, settings } = shop.request as { environment: unknown; settings: { port: number } };
  assert.deepEqual([environment, settings.port], [['DATABASE_PASSWORD'], 3001]);
  const paths = (shop.files as { path: string; mode: number }[]).map(({ path }) => path);
  assert.ok(paths.includes('/etc/rom-agent/shop.toml') && paths.includes('/etc/default/rom-agent@shop'));
  assert.equal(nightly.request, null);
  const refused = (nightly.rows as { key: string; verdict: string }[]).find(
    ({ verdict }) => verdict === 'refused',
  );
  assert.equal(refused?.key, 'autorestart');
});
