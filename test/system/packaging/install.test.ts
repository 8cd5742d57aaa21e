import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { mainPath, repoRoot } from '../../support/process.js';

const lib = 'usr/local/lib/rom-agent';
const current = `${lib}/current`;
const config = 'etc/rom-agent/rom-agent.toml';
const log = 'var/log/rom-agent/rom-agent.log';
/** Any account without rights: install.sh takes numbers too. */
const nobody = 65534;
const asRoot = { skip: process.getuid?.() !== 0 && 'changes owners, which root may' };
const shared = [
  'usr/local/share/bash-completion/completions/rom-agent',
  'usr/local/share/fish/vendor_completions.d/rom-agent.fish',
  'usr/local/share/man/man1/rom-agent.1',
  'usr/local/share/zsh/site-functions/_rom-agent',
];

/** `make test` runs those that stand for the rest, `make test-packages` (PACKAGING=all) all of them. */
const more = process.env.PACKAGING === 'all' ? it : (((): void => {}) as unknown as typeof it);

describe('make install', () => {
  it('puts the daemon, a command, a unit and an example configuration in place on Linux', (t) => {
    const { dest, make } = project(t);
    make('install', 'UNAME=Linux');
    const version = `${lib}/${readlinkSync(join(dest, current))}`;
    assert.match(version, /\/versions\/1\.2\.3-[0-9a-f]{12}$/);
    assert.deepEqual(files(dest), [
      config,
      'usr/local/bin/rom-agent',
      `${lib}/install-manifest`,
      `${lib}/rom-agent.toml.example`,
      `${version}/LICENSE`,
      `${version}/dist/cli/main.js`,
      `${version}/docs/a.md`,
      `${version}/node_modules/needed/index.js`,
      `${version}/node_modules/needed/node_modules/deeper/package.json`,
      `${version}/node_modules/needed/package.json`,
      `${version}/package.json`,
      // What `rom-agent install` writes services from.
      `${version}/systemd/rom-agent.service`,
      `${version}/systemd/rom-agent.socket`,
      `${version}/systemd/rom-agent@.service`,
      `${version}/systemd/rom-agent@.socket`,
      'usr/local/lib/systemd/system/rom-agent.service',
      'usr/local/lib/systemd/system/rom-agent.socket',
      'usr/local/lib/systemd/system/rom-agent@.service',
      'usr/local/lib/systemd/system/rom-agent@.socket',
      ...shared,
    ]);
    const socket = read(dest, 'usr/local/lib/systemd/system/rom-agent.socket');
    assert.equal(socket, read(repoRoot, 'systemd/rom-agent.socket'));
    assert.ok(!existsSync(join(dest, 'etc/systemd')), 'it is not enabled');
  });

  more('puts the man page and the completions below its prefix', (t) => {
    const { dest, make } = project(t);
    make('install', 'UNAME=Darwin', 'PREFIX=/opt/rom');
    const found = files(dest).filter((path) => path.startsWith('opt/rom/share/'));
    assert.deepEqual(
      found,
      shared.map((path) => path.replace('usr/local', 'opt/rom')),
    );
    assert.equal(read(dest, 'opt/rom/share/man/man1/rom-agent.1'), '.TH rom-agent 1\n');
  });

  more('does without a man page and completions where there are none', (t) => {
    const { dest, source, make } = project(t);
    for (const part of ['man', 'completion']) rmSync(join(source, 'packaging', part), { recursive: true });
    assert.equal(make('install', 'UNAME=Linux').status, 0);
    assert.ok(!existsSync(join(dest, 'usr/local/share')));
  });

  it('puts a LaunchDaemon, its directories and a rotation in place on Darwin', (t) => {
    const { dest, make } = project(t);
    make('install', 'UNAME=Darwin', 'SERVICE_USER=_romagent');
    const outside = files(dest).filter((path) => !path.startsWith(lib));
    assert.deepEqual(outside, [
      'Library/LaunchDaemons/org.rom-agent.plist',
      'etc/newsyslog.d/rom-agent.conf',
      config,
      'usr/local/bin/rom-agent',
      ...shared,
      log,
    ]);
    assert.ok(existsSync(join(dest, 'var/db/rom-agent')));
    const plist = read(dest, 'Library/LaunchDaemons/org.rom-agent.plist');
    assert.match(plist, /<string>\/usr\/local\/lib\/rom-agent\/current\/dist\/cli\/main\.js<\/string>/);
    assert.match(plist, /<key>UserName<\/key>\s*<string>_romagent</);
    assert.match(
      read(dest, 'etc/newsyslog.d/rom-agent.conf'),
      /^\/var\/log\/rom-agent\/rom-agent\.log\s+_romagent:_romagent\s+640\s+7\s+10240\s+\*\s+N$/m,
    );
  });

  more('leaves the directory of the log to root, in which newsyslog works as root', asRoot, (t) => {
    const { dest, make } = project(t);
    // What an earlier version gave to the account, and what that may have left there.
    mkdirSync(join(dest, 'var/log/rom-agent'), { recursive: true });
    symlinkSync('/etc/passwd', join(dest, log));
    chownSync(join(dest, 'var/log/rom-agent'), nobody, nobody);
    const { status, stdout, stderr } = make('install', 'UNAME=Darwin', `SERVICE_USER=${nobody}`);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /kept: the earlier logs are in .*var\/log\/rom-agent\.\d{14}/);
    const owners = (path: string) => {
      const { uid, gid, mode } = lstatSync(join(dest, path));
      return [uid, gid, (mode & 0o7777).toString(8)];
    };
    assert.deepEqual(owners('var/log/rom-agent'), [0, nobody, '750']);
    assert.deepEqual(owners(log), [nobody, nobody, '640']);
    assert.ok(lstatSync(join(dest, log)).isFile());
    assert.deepEqual(owners('var/db/rom-agent'), [nobody, nobody, '750']);
    writeFileSync(join(dest, log), 'a line\n');
    make('install', 'UNAME=Darwin', `SERVICE_USER=${nobody}`);
    assert.equal(read(dest, log), 'a line\n', 'the next install leaves it as it is');
  });

  for (const uname of ['Linux', 'Darwin']) {
    more(`leaves no placeholder on ${uname}`, (t) => {
      const { dest, make } = project(t);
      make('install', `UNAME=${uname}`);
      // But in what `rom-agent install` fills in.
      const shipped = /\/versions\/[^/]+\/(systemd|launchd|packaging)\//;
      for (const path of files(dest))
        if (!shipped.test(path)) assert.doesNotMatch(read(dest, path), /@[A-Z]+@/, path);
    });
  }

  more('writes absolute paths into the unit, without DESTDIR', (t) => {
    const { dest, make } = project(t);
    make('install', 'UNAME=Linux');
    const unit = read(dest, 'usr/local/lib/systemd/system/rom-agent.service');
    assert.match(
      unit,
      new RegExp(`^ExecStart=${process.execPath} /${lib}/current/dist/cli/main.js serve$`, 'm'),
    );
    assert.ok(!unit.includes(dest));
  });

  more('uses /etc for the unit where systemd does not search the prefix', (t) => {
    const { dest, make } = project(t);
    make('install', 'UNAME=Linux', 'PREFIX=/opt/rom');
    assert.ok(existsSync(join(dest, 'etc/systemd/system/rom-agent.service')));
    assert.ok(existsSync(join(dest, 'opt/rom/bin/rom-agent')));
  });

  more('makes everything readable for the service’s account, whatever the clone’s modes are', (t) => {
    const { dest, source, make } = project(t);
    chmodSync(join(source, 'dist/cli/main.js'), 0o600);
    chmodSync(join(source, 'dist/cli'), 0o700);
    make('install', 'UNAME=Linux');
    assert.equal(statSync(join(dest, current, 'dist/cli/main.js')).mode & 0o777, 0o644);
    assert.equal(statSync(join(dest, current, 'dist/cli')).mode & 0o777, 0o755);
  });

  more('leaves the sources as they were', (t) => {
    const { source, make } = project(t);
    const before = files(source);
    make('install', 'UNAME=Linux');
    assert.deepEqual(files(source), before);
  });

  it('replaces an earlier version as a whole and keeps the configuration', (t) => {
    const { dest, source, make } = project(t);
    make('install', 'UNAME=Linux');
    writeFileSync(join(dest, config), 'port = 4000\n');
    rmSync(join(source, 'docs/a.md'));
    writeFileSync(join(source, 'docs/b.md'), '');
    const { stdout } = make('install', 'UNAME=Linux');
    assert.match(stdout, /kept: .*rom-agent\.toml/);
    assert.equal(read(dest, config), 'port = 4000\n');
    assert.deepEqual(readdirSync(join(dest, current, 'docs')), ['b.md']);
  });

  it('keeps the version that was there before, and those that a service runs', async (t) => {
    const { dest, source, make } = project(t);
    const versions = () => readdirSync(join(dest, lib, 'versions')).sort();
    const install = (nth: number) => {
      writeFileSync(join(source, 'docs/a.md'), `${nth}`);
      return make('install', 'UNAME=Linux').stdout;
    };
    install(1);
    const [first = ''] = versions();
    const runs = spawn('sleep', ['600'], {
      argv0: `node ${join(dest, lib, 'versions', first, 'dist/worker/main.js')}`,
    });
    t.after(() => runs.kill('SIGKILL'));
    await once(runs, 'spawn');
    install(2);
    const [second = ''] = versions().filter((name) => name !== first);
    assert.equal(versions().length, 2);
    assert.match(install(3), /kept: .*, which a service runs/);
    assert.equal(versions().length, 3);
    const gone = once(runs, 'exit');
    runs.kill('SIGKILL');
    await gone;
    install(4);
    assert.equal(versions().length, 2);
    assert.ok(!versions().includes(first) && !versions().includes(second));
    assert.equal(read(dest, `${current}/docs/a.md`), '4');
    install(4);
    assert.equal(versions().length, 1, 'what is installed twice is one version');
  });

  more(
    'leaves a version of before there were versions to a service that runs it, and finds units of then',
    async (t) => {
      const { dest, make } = project(t);
      put(dest, `${lib}/dist/cli/main.js`, 'old\n');
      put(dest, `${lib}/node_modules/needed/index.js`, 'old\n');
      const runs = spawn('sleep', ['600'], { argv0: `node ${join(dest, lib, 'dist/worker/main.js')}` });
      t.after(() => runs.kill('SIGKILL'));
      await once(runs, 'spawn');
      make('install', 'UNAME=Linux');
      assert.equal(read(dest, `${lib}/dist/cli/main.js`), 'old\n');
      const gone = once(runs, 'exit');
      runs.kill('SIGKILL');
      await gone;
      make('install', 'UNAME=Linux');
      assert.equal(read(dest, `${lib}/dist/cli/main.js`), read(dest, `${current}/dist/cli/main.js`));
      assert.ok(!existsSync(join(dest, lib, 'node_modules')));
    },
  );

  more('installs a command that runs the daemon', (t) => {
    const { make, dest, prefix } = project(t);
    make('install', 'UNAME=Linux', `PREFIX=${prefix}`);
    mountLibrary(dest, prefix);
    const command = join(dest, prefix, 'bin/rom-agent');
    assert.equal(execFileSync(command, ['a b', 'c'], { encoding: 'utf8' }), '["a b","c"]\n');
  });

  more('refuses where nothing was built', (t) => {
    const { source, make } = project(t);
    rmSync(join(source, 'dist'), { recursive: true });
    const { status, stderr } = make('install', 'UNAME=Linux');
    assert.notEqual(status, 0);
    assert.match(stderr, /dist\/cli\/main\.js does not exist: run "npm ci && npm run build" first/);
  });

  more('refuses where a dependency is missing, and names it', (t) => {
    const { dest, source, make } = project(t);
    rmSync(join(source, 'node_modules/needed/node_modules'), { recursive: true });
    const { status, stderr } = make('install', 'UNAME=Linux');
    assert.notEqual(status, 0);
    assert.match(stderr, /deeper, needed by needed, is not installed/);
    assert.ok(!existsSync(join(dest, current)));
  });

  more('refuses a path that a unit could not hold', (t) => {
    const { make } = project(t);
    assert.match(make('install', 'UNAME=Linux', 'PREFIX=/usr/lo cal').stderr, /may hold letters/);
    assert.match(make('install', 'UNAME=Linux', 'PREFIX=local').stderr, /"local" must be an absolute path/);
  });

  more('refuses a system that it does not know', (t) => {
    assert.match(project(t).make('install', 'UNAME=SunOS').stderr, /UNAME is "SunOS"/);
  });

  more('warns the packager of a node that the service could not execute', (t) => {
    const { source, make } = project(t);
    const { status, stderr } = make('install', 'UNAME=Darwin', `NODE=${privateNode(source)}`);
    assert.equal(status, 0);
    assert.match(stderr, /warning: .*node is out of reach .*: others may not enter/);
  });

  more('warns of a node that the unit hides', (t) => {
    const { source, make } = project(t);
    const node = privateNode(source);
    const { stderr } = make('install', 'UNAME=Linux', `NODE=${node}`);
    assert.match(stderr, /hidden from the service|out of reach/);
  });

  it('refuses such a node on the machine itself, before anything is written', (t) => {
    const { source, prefix, make } = project(t);
    // Without these two even an installer that does not refuse writes nothing outside the prefix.
    rmSync(join(source, 'packaging/rom-agent.toml'));
    rmSync(join(source, 'systemd/rom-agent.service'));
    const node = privateNode(source);
    const { status, stderr } = make('install', 'UNAME=Linux', `NODE=${node}`, `PREFIX=${prefix}`, 'DESTDIR=');
    assert.notEqual(status, 0);
    assert.match(stderr, /install\.sh: .*name it: make install NODE=\/usr\/local\/bin\/node/);
    assert.ok(!existsSync(prefix));
  });
});

describe('make uninstall', () => {
  for (const uname of ['Linux', 'Darwin']) {
    it(`leaves nothing on ${uname}`, (t) => {
      const { dest, make } = project(t);
      make('install', `UNAME=${uname}`);
      assert.equal(make('uninstall', `UNAME=${uname}`).status, 0);
      assert.equal(existsSync(dest), false);
    });
  }

  more('leaves what was there before', (t) => {
    const { dest, make } = project(t);
    put(dest, 'usr/local/bin/other', '');
    put(dest, 'usr/local/lib/systemd/system/other.service', '');
    make('install', 'UNAME=Linux');
    make('uninstall', 'UNAME=Linux');
    assert.deepEqual(files(dest), ['usr/local/bin/other', 'usr/local/lib/systemd/system/other.service']);
    assert.ok(!existsSync(join(dest, 'etc')));
  });

  it('keeps an edited configuration and says so', (t) => {
    const { dest, make } = project(t);
    make('install', 'UNAME=Linux');
    writeFileSync(join(dest, config), 'port = 4000\n');
    const { stdout } = make('uninstall', 'UNAME=Linux');
    assert.match(stdout, /kept: .*rom-agent\.toml, which was edited/);
    assert.deepEqual(files(dest), [config]);
  });

  more('keeps a configuration that was there before the install, even one like the example', (t) => {
    const { dest, source, make } = project(t);
    put(dest, config, readFileSync(join(source, 'packaging/rom-agent.toml'), 'utf8'));
    make('install', 'UNAME=Linux');
    make('uninstall', 'UNAME=Linux');
    assert.deepEqual(files(dest), [config]);
  });

  more('keeps logs and says so', (t) => {
    const { dest, make } = project(t);
    make('install', 'UNAME=Darwin');
    put(dest, 'var/log/rom-agent/rom-agent.log', 'a line\n');
    const { stdout } = make('uninstall', 'UNAME=Darwin');
    assert.match(stdout, /kept: .*\/var\/log\/rom-agent, which is not empty/);
    assert.deepEqual(files(dest), ['var/log/rom-agent/rom-agent.log']);
  });

  more('removes what two installs put there', (t) => {
    const { dest, make } = project(t);
    make('install', 'UNAME=Linux');
    make('install', 'UNAME=Linux');
    make('uninstall', 'UNAME=Linux');
    assert.equal(existsSync(dest), false);
  });

  more('refuses where nothing was installed', (t) => {
    const { status, stderr } = project(t).make('uninstall', 'UNAME=Linux');
    assert.notEqual(status, 0);
    assert.match(stderr, /nothing was installed there/);
  });
});

describe('an installed daemon', () => {
  const skip =
    !existsSync(mainPath) && process.env.CI !== 'true' && `${mainPath} is not built: npm run build`;

  it('refuses on Linux to install what could not talk to systemd, and says what to do', (t) => {
    const { source, make } = project(t);
    rmSync(join(source, 'node_modules/sd-notify'), { recursive: true });
    const { status, stderr } = make('install', 'UNAME=Linux', 'DESTDIR=', `PREFIX=${join(source, 'prefix')}`);
    assert.notEqual(status, 0);
    assert.match(
      stderr,
      /cannot load sd-notify \(Cannot find module 'sd-notify'\), nor koffi.*libsystemd-dev.*npm ci/,
    );
    assert.ok(!existsSync(join(source, 'prefix')), 'nothing is written');
  });

  more('warns who makes a package without it, and asks for it on Linux only', (t) => {
    const { source, make } = project(t);
    rmSync(join(source, 'node_modules/sd-notify'), { recursive: true });
    const linux = make('install', 'UNAME=Linux');
    assert.equal(linux.status, 0, linux.stderr);
    assert.match(linux.stderr, /warning: .* cannot load sd-notify/);
    assert.doesNotMatch(make('install', 'UNAME=Darwin').stderr, /sd-notify/);
  });

  it('tells its version with nothing but what was installed', { skip }, (t) => {
    const dest = join(temporary(t), 'dest');
    const prefix = join(dirname(dest), 'prefix');
    const given = [`DESTDIR=${dest}`, `PREFIX=${prefix}`, `NODE=${process.execPath}`];
    const installed = runMake(repoRoot, 'install', given);
    assert.equal(installed.status, 0, installed.stderr);
    mountLibrary(dest, prefix);
    const version = execFileSync(join(dest, prefix, 'bin/rom-agent'), ['--version'], {
      encoding: 'utf8',
      cwd: '/',
    });
    assert.equal(version.trim(), JSON.parse(read(repoRoot, 'package.json')).version);
  });
});

interface Project {
  readonly source: string;
  readonly dest: string;
  /** A directory that does not exist yet. */
  readonly prefix: string;
  make(target: string, ...variables: string[]): Made;
}

interface Made {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A small project with the shipped installer, and an empty DESTDIR that make is told of unless told otherwise. */
function project(t: TestContext): Project {
  const directory = temporary(t);
  const source = join(directory, 'source');
  const dest = join(directory, 'dest');
  put(
    source,
    'package.json',
    '{"name":"rom-agent","version":"1.2.3","dependencies":{"needed":"1"},"optionalDependencies":{"absent":"1"}}',
  );
  put(source, 'dist/cli/main.js', 'console.log(JSON.stringify(process.argv.slice(2)));\n');
  put(source, 'docs/a.md', '');
  put(source, 'LICENSE', '');
  put(source, 'node_modules/needed/package.json', '{"name":"needed","dependencies":{"deeper":"1"}}');
  put(source, 'node_modules/needed/index.js', '');
  put(source, 'node_modules/needed/node_modules/deeper/package.json', '{"name":"deeper"}');
  put(source, 'node_modules/sd-notify/package.json', '{"name":"sd-notify"}');
  put(source, 'node_modules/sd-notify/index.js', '');
  put(source, 'node_modules/developers-only/package.json', '{"name":"developers-only"}');
  put(source, 'systemd/rom-agent.service', 'ExecStart=@NODE@ @LIBDIR@/dist/cli/main.js serve\n');
  const parts = [
    'launchd',
    'packaging',
    ...['rom-agent.socket', 'rom-agent@.service', 'rom-agent@.socket'].map((unit) => `systemd/${unit}`),
  ];
  for (const part of parts) cpSync(join(repoRoot, part), join(source, part), { recursive: true });
  for (const name of ['rom-agent.bash', '_rom-agent', 'rom-agent.fish'])
    put(source, `packaging/completion/${name}`, '# rom-agent\n');
  put(source, 'packaging/man/rom-agent.1', '.TH rom-agent 1\n');
  put(source, 'packaging/rom-agent.toml', '# port = 3000\n');
  const given = [`DESTDIR=${dest}`, `NODE=${process.execPath}`];
  const make = (target: string, ...variables: string[]) => runMake(source, target, [...given, ...variables]);
  return { source, dest, prefix: join(directory, 'prefix'), make };
}

function runMake(cwd: string, target: string, variables: readonly string[]): Made {
  // Under `make test` the outer make's variables would get through.
  const { MAKEFLAGS, MAKEOVERRIDES, MFLAGS, ...env } = process.env;
  return spawnSync('make', ['-f', 'packaging/install.mk', target, ...variables], {
    cwd,
    env,
    encoding: 'utf8',
  });
}

/** Makes what was installed under DESTDIR be there without it, as on the machine that a package is installed on. */
function mountLibrary(dest: string, prefix: string): void {
  mkdirSync(prefix);
  symlinkSync(join(dest, prefix, 'lib'), join(prefix, 'lib'));
}

/** A node in a directory that others may not enter. */
function privateNode(source: string): string {
  const directory = join(source, 'private');
  mkdirSync(directory, { mode: 0o700 });
  copyFileSync(process.execPath, join(directory, 'node'));
  return join(directory, 'node');
}

function temporary(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'rom-agent-install-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

function put(directory: string, path: string, text: string): void {
  mkdirSync(dirname(join(directory, path)), { recursive: true });
  writeFileSync(join(directory, path), text);
}

function read(directory: string, path: string): string {
  return readFileSync(join(directory, path), 'utf8');
}

/** Every file below, in the order of the alphabet. */
function files(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}
