import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Finding } from '../../../src/doctor/finding.js';
import { repoRoot } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';
import { inside, type Machine, needsMachine, sharedMachine } from './machine.js';
import { service } from './service.js';

const docs = readFileSync(join(repoRoot, 'docs', 'how-to', 'systemd.md'), 'utf8');

/** The lines of [Service] in the first drop-in below a heading of docs/how-to/systemd.md: what is tested is what is told. */
function recipe(heading: string): string[] {
  const [, below = ''] = docs.split(`\n### ${heading}\n`);
  const [, block = ''] = /```ini\n\[Service\]\n([\s\S]*?)```/.exec(below.split('\n### ')[0] ?? '') ?? [];
  assert.notEqual(block, '', heading);
  return block.trim().split('\n');
}

async function database(machine: Machine, t: { after(hook: () => Promise<void>): void }): Promise<void> {
  const script = "require('net').createServer(s => s.end()).listen('/run/shop-db.sock')";
  await machine.run(['groupadd', '--force', 'shopdb']);
  const exec = `ExecStart=${inside.node} -e "${script}"`;
  await machine.unit('shop-db.service', `[Service]\nGroup=shopdb\nUMask=0007\n${exec}\n`);
  t.after(() => machine.removeUnit('shop-db.service'));
  await machine.must(['systemctl', 'start', 'shop-db.service']);
  await machine.must(['sh', '-c', 'until [ -S /run/shop-db.sock ]; do sleep 0.05; done']);
}

/** What the app dies of without the drop-in, and what it says of it. */
const refusals = [
  {
    what: 'a directory for uploads',
    env: { UPLOADS: '/srv/shop/uploads' },
    hint: /mkdir.*ProtectSystem= of the unit keeps \/srv\/shop\/uploads read-only: sudo systemctl edit rom-agent-refused\.service: under \[Service\] StateDirectory=rom-agent\/uploads, BindPaths=\/var\/lib\/rom-agent\/uploads:\/srv\/shop\/uploads/,
    heading: 'Files that the app writes',
  },
  {
    what: 'a secret of mode 0600',
    env: { SECRET_FILE: '/etc/shop.key' },
    hint: /EACCES.*may not read \/etc\/shop\.key.*LoadCredential=shop\.key:\/etc\/shop\.key/,
    heading: null,
  },
  {
    what: 'a database on a socket of a group',
    env: { DATABASE: '/run/shop-db.sock' },
    hint: /EACCES.*not in the group of the socket \/run\/shop-db\.sock.*SupplementaryGroups=GROUP\b/,
    heading: 'A database on a socket',
  },
  {
    what: 'the owner of a file',
    env: { CHOWN: '1' },
    hint: /EPERM.*SystemCallFilter= of the unit refuses chown\(\).*SystemCallFilter=@chown/,
    heading: null,
  },
  {
    what: 'a port below 1024',
    env: { PORT: '987' },
    hint: /no permission to listen.*987.*PrivateUsers=no, CapabilityBoundingSet=CAP_NET_BIND_SERVICE, AmbientCapabilities=CAP_NET_BIND_SERVICE/,
    heading: 'Ports below 1024',
  },
];

/** doctor has the same drop-in from the journal, with the name of a group that the app could not see. */
async function doctorFinds(machine: Machine, unit: string, lines: string): Promise<void> {
  const argv = [inside.node, `${inside.repo}/dist/cli/main.js`, 'doctor', '--json', '--unit', unit];
  const { findings } = JSON.parse((await machine.run(argv)).stdout) as { findings: Finding[] };
  assert.deepEqual(
    findings
      .filter(({ subject }) => subject === 'the sandbox')
      .map(({ verdict, change }) => [verdict, change]),
    [
      [
        'problem',
        `sudo systemctl edit ${unit}: under [Service] ${lines.replace(/=GROUP$/, '=shopdb')}; then sudo systemctl restart ${unit}`,
      ],
    ],
  );
}

for (const { what, env, hint, heading } of refusals)
  test(
    `an app that is refused ${what} names the drop-in in its end, and starts with it`,
    needsMachine(),
    async (t) => {
      const machine = await sharedMachine();
      if (env.DATABASE !== undefined) await database(machine, t);
      await machine.must(['install', '-d', '/srv/shop']);
      await machine.writeFile('/etc/shop.key', 'hunter2\n', '600');
      const options = { name: 'refused', app: 'newcomer.cjs', env: env as Record<string, string> };
      const own = await service(machine, t, { ...options, settings: ['Restart=no'] });
      assert.notEqual((await own.systemctl('start')).code, 0);
      const { StatusText } = await own.show('StatusText');
      assert.match(StatusText, hint);
      assert.match((await own.log('err')).map(({ message }) => message).join('\n'), hint);
      const [, lines = ''] = /under \[Service\] (.*)$/.exec(StatusText) ?? [];
      await doctorFinds(machine, own.unit, lines);
      const told = lines.split(', ').map((line) => line.trim().replace(/=GROUP$/, '=shopdb'));
      // A document and a daemon that say different things help nobody.
      if (heading !== null)
        assert.deepEqual(
          recipe(heading).filter((line) => !told.includes(line)),
          [],
        );
      const secret = told.some((line) => line.startsWith('LoadCredential='));
      const moved = secret ? ['Environment=SECRET_FILE=%d/shop.key'] : [];
      await machine.unit(`${own.unit}.d/z.conf`, ['[Service]', ...told, ...moved, ''].join('\n'));
      await own.start();
    },
  );

test(
  'the secrets and the own user of docs/how-to/systemd.md work as they are written there',
  needsMachine(),
  async (t) => {
    const machine = await sharedMachine();
    const setUp = `useradd --system shop; install -d /srv/shop; install -d -o shop -g shop /srv/shop/uploads
    echo hunter2 > /etc/shop.key; echo DB_PASSWORD=hunter3 > /srv/shop/.env; chmod 600 /etc/shop.key /srv/shop/.env`;
    await machine.must(['sh', '-c', setUp]);
    const own = await service(machine, t, {
      name: 'own-user',
      app: 'newcomer.cjs',
      env: { UPLOADS: '/srv/shop/uploads', CHOWN: '', USER_NAME: '1' },
      settings: [...recipe('A user of its own'), ...recipe('Secrets')],
    });
    await own.start();
    const told = JSON.parse((await own.get('/')).text) as Record<string, string>;
    assert.deepEqual(
      { secret: told.secret, password: told.password, user: told.user },
      { secret: 'hunter2', password: 'hunter3', user: 'shop' },
    );
    assert.equal(await machine.must(['cat', '/srv/shop/uploads/probe']), 'here');
  },
);

test(
  'who may not use the control socket is told of a group that can be joined, and it works',
  needsMachine(),
  async (t) => {
    const machine = await sharedMachine();
    await machine.must(['sh', '-c', 'id tester || useradd --system tester; usermod -aG adm tester']);
    const own = await service(machine, t, { name: 'control-group' });
    await own.start();
    const status = ['setpriv', '--reuid=tester', '--regid=tester', '--init-groups', inside.node];
    const argv = [
      ...status,
      `${inside.repo}/dist/cli/main.js`,
      'status',
      '--control-socket',
      '/run/rom-agent/control.sock',
    ];
    const refused = await machine.run(argv);
    assert.match(refused.stderr, /use sudo, or make it accessible to one of your groups: .*Group=NAME/);
    await machine.unit(`${own.unit}.d/z.conf`, '[Service]\nGroup=adm\n');
    assert.equal((await own.systemctl('restart')).code, 0);
    const allowed = await machine.run(argv);
    assert.equal(allowed.code, 0, allowed.stderr);
  },
);

test(
  'doctor names a path of the sandbox that is missing, before and after the start that fails with 226',
  needsMachine(),
  async (t) => {
    const machine = await sharedMachine();
    const own = await service(machine, t, { name: 'no-path', settings: ['ReadWritePaths=/srv/nowhere'] });
    const doctor = () =>
      machine.run([inside.node, `${inside.repo}/dist/cli/main.js`, 'doctor', '--unit', own.unit, '--json']);
    assert.match(
      (await doctor()).stdout,
      /ReadWritePaths=\/srv\/nowhere does not exist: a start ends with 226/,
    );
    assert.notEqual((await own.systemctl('start')).code, 0);
    // Between two attempts of systemd the unit is activating.
    await waitFor('the reason', async () => (await doctor()).stdout, {
      timeout: 300_000,
      until: (text) => /systemd cannot start it: exit status 226, NAMESPACE/.test(text),
    });
    await machine.must(['install', '-d', '/srv/nowhere']);
    await own.becomes('ActiveState', 'active');
  },
);
