import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Listed } from '../../../../src/setup/list.js';
import { ask } from '../../../support/net.js';
import { fixtures } from '../../../support/process.js';
import { waitFor } from '../../../support/wait.js';
import { needsMachine } from '../machine.js';
import { type Host, ports, sharedHost } from './host.js';

async function list(host: Host): Promise<ReadonlyMap<string, Listed>> {
  const all = JSON.parse(await host.must('list', '--json')) as Listed[];
  return new Map(all.map((one) => [one.name, one]));
}

async function textAt(port: string, path = '/'): Promise<string> {
  return (await ask({ port: Number(port), path })).text;
}

test(
  'two apps side by side are installed, reloaded, listed and removed without a trace',
  needsMachine(),
  async (t) => {
    const host = await sharedHost();
    const before = await host.traces();
    const [first = '', second = ''] = await ports(2);
    host.tidy(t, 'shop', 'api');
    const shop = await host.app('/srv/shop', { text: 'shop' });
    const api = await host.app('/srv/api', { text: 'api' });

    const said = await host.must(
      'install',
      shop,
      '--name',
      'shop',
      '--port',
      first,
      '--workers',
      '1',
      '--yes',
    );
    assert.match(
      said,
      /rom-agent@shop\.service is started\. http:\/\/localhost:\d+\/ answers with status 200\./,
    );
    assert.match(said, /undo +sudo rom-agent uninstall shop/);
    // One service is meant where there is one.
    assert.match(await host.must('status'), /serving/);

    await host.must('install', api, '--name', 'api', '--port', second, '--workers', '2', '--yes');
    assert.deepEqual([await textAt(first), await textAt(second)], ['shop', 'api']);

    const several = await host.rom('reload');
    assert.equal(several.code, 64);
    assert.match(several.stderr, /several services .* --name, of api, shop/);

    await host.must('reload', '--name', 'api', '--no-soak');
    await host.machine.must(['systemctl', 'reload', 'rom-agent@api']);
    const generation = async (name: string) =>
      (JSON.parse(await host.must('status', '--name', name, '--json')) as { generation: number }).generation;
    assert.deepEqual([await generation('api'), await generation('shop')], [3, 1]);

    const services = await list(host);
    assert.deepEqual(
      ['api', 'shop'].map((name) => {
        const { state, listens, workers, enabled, app } = services.get(name) ?? {};
        return { state, listens, workers, enabled, app };
      }),
      [
        { state: 'serving', listens: [second], workers: { ready: 2, wanted: 2 }, enabled: true, app: api },
        { state: 'serving', listens: [first], workers: { ready: 1, wanted: 1 }, enabled: true, app: shop },
      ],
    );
    await host.machine.must(['systemctl', 'stop', 'rom-agent@api']);
    assert.equal((await list(host)).get('api')?.state, 'stopped');

    const unprivileged = await host.asNobody('list');
    assert.match(unprivileged.stdout, /^shop +running .*\n/m);
    assert.match(unprivileged.stdout, /no permission for the control socket of shop: sudo rom-agent list/);

    assert.match(await host.must('check', '--name', 'api'), new RegExp(`^port +${second} `, 'm'));
    assert.match((await host.rom('doctor', '--name', 'api')).stdout, /problem/);

    for (const name of ['api', 'shop']) await host.must('uninstall', name, '--purge', '--yes');
    assert.deepEqual(await host.traces(), before);
  },
);

test('the same again changes nothing, and another flag shows the difference', needsMachine(), async (t) => {
  const host = await sharedHost();
  const [port = '', other = ''] = await ports(2);
  host.tidy(t, 'shop');
  const app = await host.app('/srv/shop');
  const install = (...more: string[]) =>
    host.must('install', app, '--name', 'shop', '--workers', '1', ...more);
  await install('--port', port, '--yes');
  const pid = await host.machine.mainPid('rom-agent@shop.service');

  assert.match(await install('--port', port), /Nothing to do/);
  assert.equal(await host.machine.mainPid('rom-agent@shop.service'), pid);

  const unanswered = await host.rom('install', app, '--name', 'shop', '--workers', '1', '--port', other);
  assert.equal(unanswered.code, 64);
  assert.match(
    unanswered.stdout,
    new RegExp(`~ /etc/rom-agent/shop\\.toml[\\s\\S]*- port = ${port}\\n +\\+ port = ${other}`),
  );
  assert.match(unanswered.stderr, /nobody can be asked .* --yes/);

  // What a reload brings into effect needs no restart.
  assert.match(await install('--port', port, '--drain-timeout', '20s', '--yes'), /is reloaded/);
  assert.equal(await host.machine.mainPid('rom-agent@shop.service'), pid);
  assert.match(await install('--port', other, '--yes'), /is restarted/);
  assert.equal(await textAt(other), 'ok');

  const config = '/etc/rom-agent/shop.toml';
  await host.machine.must(['sh', '-c', `echo 'hang_timeout = "9s"' >> ${config}`]);
  assert.match(
    await host.must('uninstall', 'shop', '--yes'),
    /was edited: kept as \/etc\/rom-agent\/shop\.toml\.old/,
  );
  assert.match(await host.machine.must(['cat', `${config}.old`]), /hang_timeout/);
  await host.machine.must(['rm', `${config}.old`]);
});

test('a failure is told with the last lines of the log, and nothing stands', needsMachine(), async (t) => {
  const host = await sharedHost();
  const before = await host.traces();
  const [port = ''] = await ports(1);
  host.tidy(t, 'shop');
  const app = await host.app('/srv/shop', { extra: 'throw new Error("no database");' });
  const { code, stderr } = await host.rom('install', app, '--name', 'shop', '--port', port, '--yes');
  assert.equal(code, 75);
  assert.match(stderr, /was not installed: .*\n[\s\S]*no database[\s\S]*What was written is undone/);
  const left = (await host.traces()).filter((path) => !before.includes(path));
  assert.deepEqual(
    left.filter((path) => !/^\/var\/(lib|log)/.test(path)),
    [],
  );
});

test('a failed change leaves the service as it was', needsMachine(), async (t) => {
  const host = await sharedHost();
  const [port = ''] = await ports(1);
  host.tidy(t, 'shop');
  const app = await host.app('/srv/shop', { extra: 'if (process.env.BREAK) throw new Error("broken");' });
  await host.must('install', app, '--name', 'shop', '--port', port, '--workers', '1', '--yes');
  await host.machine.writeFile('/srv/shop/.env-file', 'BREAK=1\n');
  const failed = await host.rom(
    ...['install', app, '--name', 'shop', '--port', port, '--workers', '1', '--yes'],
    ...['--env-file', '/srv/shop/.env-file'],
  );
  assert.equal(failed.code, 75, failed.stdout + failed.stderr);
  assert.equal(await textAt(port), 'ok');
  assert.match(
    await host.must('install', app, '--name', 'shop', '--port', port, '--workers', '1'),
    /Nothing to do/,
  );
});

test(
  'an app in a home runs as the account that owns it, writes where it has to, and reads its variables',
  needsMachine(),
  async (t) => {
    const host = await sharedHost();
    const { machine } = host;
    const [port = ''] = await ports(1);
    host.tidy(t, 'shop');
    const folder = '/home/keeper/shop';
    await machine.run(['useradd', '--create-home', 'keeper']);
    t.after(() => machine.run(['userdel', '--remove', 'keeper']));
    const extra = `const fs = require('node:fs');
const told = [process.env.SECRET, process.getuid(), fs.readdirSync('/home').join(), fs.readdirSync('/home/keeper').join()];
fs.writeFileSync(__dirname + '/uploads/told', told.join(' '));`;
    const app = await host.app(folder, { extra });
    await machine.writeFile(`${folder}/.env.production`, `SECRET=x\nPORT=${port}\n`, '600');
    await machine.must([
      'sh',
      '-c',
      `mkdir ${folder}/uploads; chown -R keeper: /home/keeper; chmod 700 /home/keeper`,
    ]);
    const said = await host.must(
      ...[
        'install',
        app,
        '--user',
        'keeper',
        '--env-file',
        `${folder}/.env.production`,
        '--workers',
        '1',
        '--yes',
      ],
    );
    assert.match(said, /Of the homes the service sees \/home\/keeper\/shop alone/);
    assert.equal(await textAt(port), 'ok');
    const uid = (await machine.must(['id', '-u', 'keeper'])).trim();
    assert.equal(await machine.must(['cat', `${folder}/uploads/told`]), `x ${uid} keeper shop`);
  },
);

test('systemd holds the port with --socket, and no longer without', needsMachine(), async (t) => {
  const host = await sharedHost();
  const [port = ''] = await ports(1);
  host.tidy(t, 'shop');
  const app = await host.app('/srv/shop');
  const given = ['install', app, '--name', 'shop', '--port', port, '--workers', '1', '--yes'];
  await host.must(...given, '--socket');
  const state = async () => (await host.machine.show('rom-agent@shop.socket', ['ActiveState'])).ActiveState;
  assert.equal(await state(), 'active');
  assert.equal(await textAt(port), 'ok');
  assert.match(await host.must(...given, '--socket'), /Nothing to do/);
  await host.must(...given);
  assert.equal(await state(), 'inactive');
  assert.equal(await textAt(port), 'ok');
});

test('what cannot run is refused before anything is written', needsMachine(), async (t) => {
  const host = await sharedHost();
  const before = await host.traces();
  const [port = ''] = await ports(1);
  host.tidy(t, 'shop', 'other');
  const app = await host.app('/srv/shop');
  await host.app('/srv/other');
  const refusal = async (...args: string[]) => {
    const { code, stderr } = await host.rom('install', ...args, '--yes');
    return `${code} ${stderr}`;
  };
  assert.match(await refusal('/srv/none.js', '--name', 'shop'), /^66 .*no app \/srv\/none\.js/);
  assert.match(await refusal(app, '--name', 'Shop!'), /^64 .*"Shop!"/);
  assert.match(await refusal(app, '--name', 'shop', '--user', 'nemo'), /^64 .*"nemo" does not exist/);
  assert.match(await refusal(app, '--name', 'shop', '--port', 'x'), /^78 .*port: "x" \(from --port\)/);
  assert.match(
    await refusal(app, '--name', 'shop', '--env-file', '/nowhere'),
    /^(64 .*\/nowhere does not exist|9 .*\/nowhere: not found)/,
  );
  await host.machine.must(['chmod', '700', '/srv/shop']);
  assert.match(
    await refusal(app, '--name', 'shop'),
    /^77 .*no permission for \/srv\/shop.*chmod o\+x \/srv\/shop/,
  );
  await host.machine.must(['chmod', '755', '/srv/shop']);
  assert.deepEqual(await host.traces(), before);

  await host.must('install', app, '--name', 'shop', '--port', port, '--workers', '1', '--yes');
  assert.match(
    await refusal('/srv/other', '--name', 'other', '--port', port),
    /^69 .*port \d+ is taken by \S+ \(pid \d+, the service shop\).*such as --port \d+/,
  );
  const nobody = await host.asNobody('install', app, '--name', 'other', '--yes');
  assert.equal(nobody.code, 77);
  assert.match(nobody.stderr, /sudo rom-agent install/);
  const dry = await host.asNobody('install', '/srv/other', '--name', 'other', '--port', '0', '--dry-run');
  assert.equal(dry.code, 0, dry.stderr);
  assert.match(
    dry.stdout,
    /\+ \/etc\/rom-agent\/other\.toml[\s\S]*systemctl enable --now rom-agent@other\.service/,
  );
});

test(
  'the worker of a queue is a service without a port, which ends its job at a stop',
  needsMachine(),
  async (t) => {
    const host = await sharedHost();
    const { machine } = host;
    const queue = '/var/lib/rom-agent@queue/queue';
    host.tidy(t, 'queue');
    const file = '/srv/queue/worker.mjs';
    await machine.writeFile(file, readFileSync(join(fixtures, 'integration/queue-worker.mjs'), 'utf8'));
    await machine.writeFile('/srv/queue/env', `QUEUE=${queue}\n`);
    // The folders of the queue, before the app looks at them.
    await machine.writeFile(
      '/srv/queue/start.mjs',
      `import { mkdirSync } from 'node:fs';
for (const name of ['jobs', 'taken', 'done', 'stopping']) mkdirSync(\`\${process.env.QUEUE}/\${name}\`, { recursive: true });
await import('./worker.mjs');\n`,
    );
    const given = ['/srv/queue/start.mjs', '--name', 'queue', '--kind', 'process', '--workers', '2'];
    await host.must('install', ...given, '--env-file', '/srv/queue/env', '--yes');
    const unit = 'rom-agent@queue.service';
    assert.match(
      (await machine.show(unit, ['StatusText'])).StatusText,
      /^2 of 2 workers ready, generation 1, 0 restarts/,
    );
    const { state, listens, workers } = (await list(host)).get('queue') ?? {};
    assert.deepEqual(
      { state, listens, workers },
      { state: 'serving', listens: [], workers: { ready: 2, wanted: 2 } },
    );

    const job = (name: string) => machine.must(['touch', `${queue}/jobs/${name}`]);
    const isThere = async (path: string) =>
      (await machine.run(['test', '-e', `${queue}/${path}`])).code === 0;
    await job('slow-1');
    await waitFor('the job to begin', () => isThere('taken/slow-1'), { timeout: 120_000 });
    await machine.must(['systemctl', 'reload', unit], { timeout: 300_000 });
    assert.match((await machine.show(unit, ['StatusText'])).StatusText, /generation 2/);
    const { stdout } = await host.rom('doctor', '--name', 'queue');
    assert.doesNotMatch(stdout, /port \d+/);
    assert.doesNotMatch(stdout, /^ *problem/m);

    const stopping = machine.run(['systemctl', 'stop', unit], { timeout: 300_000 });
    await waitFor(
      'the stop',
      async () => (await machine.show(unit, ['ActiveState'])).ActiveState === 'deactivating',
      { timeout: 120_000 },
    );
    await job('../go');
    assert.equal((await stopping).code, 0);
    assert.ok(await isThere('done/slow-1'));
    assert.deepEqual(await machine.show(unit, ['Result', 'ActiveState']), {
      Result: 'success',
      ActiveState: 'inactive',
    });
  },
);
