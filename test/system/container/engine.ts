import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repoRoot } from '../../support/process.js';
import { installNodes } from '../nodes/install.js';
import { type CommandResult, command } from '../systemd/command.js';
import { needsPrograms } from '../systemd/requirements.js';
import { treeOf } from '../systemd/trees.js';

/** The major of Node that the Dockerfile has by default. */
const major = 24;

/** Kept between runs, for the base image takes a while. ROM_AGENT_TEST_CONTAINERS names another folder. */
const storage = process.env.ROM_AGENT_TEST_CONTAINERS ?? '/var/cache/rom-agent-test/containers';

/** Options for `test()`: skipped with the reason where no container can run; in CI it runs and fails instead. */
export function needsEngine(): { skip: string | false } {
  const { skip } = needsPrograms('buildah', 'podman', 'runc', 'debootstrap', 'tar');
  if (skip !== false || process.env.CI === 'true') return { skip };
  if (process.platform !== 'linux') return { skip: 'the containers of this test are those of Linux' };
  return { skip: process.getuid?.() === 0 ? false : 'the storage of images needs root here' };
}

export interface BuildOptions {
  readonly file: string;
  readonly context: string;
  readonly tag: string;
  readonly args?: Readonly<Record<string, string>>;
}

/** Builds an image with buildah in a chroot. Throws an Error with the end of its output. */
export async function build({ file, context, tag, args = {} }: BuildOptions): Promise<void> {
  const given = Object.entries(args).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]);
  await must([
    ...['buildah', ...stores(), 'bud', '--isolation', 'chroot', '--format', 'docker', '--pull-never'],
    ...[...given, '-t', tag, '-f', file, context],
  ]);
}

export async function removeImage(tag: string): Promise<void> {
  await command(['buildah', ...stores(), 'rmi', '-f', tag]);
}

/** podman, as it can be called anywhere: runc below it knows cgroups of v1 and v2, and no network is set up. */
export function podman(argv: readonly string[], timeout = 300_000): Promise<CommandResult> {
  return command(['podman', ...stores(), '--cgroup-manager', 'cgroupfs', '--runtime', 'runc', ...argv], {
    timeout,
  });
}

/** Its standard output; throws an Error where it fails. */
export async function must(argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await command(argv, { timeout: 900_000 });
  if (code === 0) return stdout.trim();
  throw new Error(
    `${argv.join(' ')} ended with ${code}:\n${`${stdout}${stderr}`.split('\n').slice(-25).join('\n')}`,
  );
}

/** A Debian with node and npm, as node:24-slim is one: from debootstrap and npm, since no registry of images is asked. */
export async function baseImage(): Promise<string> {
  const nodes = await installNodes();
  if ('reason' in nodes) throw new Error(nodes.reason);
  const node = nodes.executables.get(major);
  if (node === undefined) throw new Error(`test/system/nodes/versions has no Node ${major}`);
  const tag = `localhost/rom-agent-test-base:${createHash('sha256').update(`${node}\n${recipe}`).digest('hex').slice(0, 12)}`;
  const { code } = await command(['buildah', ...stores(), 'inspect', '--type', 'image', tag]);
  if (code !== 0) await makeBase({ tag, node });
  return tag;
}

async function makeBase({ tag, node }: { tag: string; node: string }): Promise<void> {
  const tree = await treeOf('trixie');
  const context = await mkdtemp(join(tmpdir(), 'rom-agent-base-image-'));
  try {
    await must([
      'tar',
      '-C',
      tree,
      '--exclude=./var/cache/apt',
      '--exclude=./usr/share/doc',
      '-cf',
      join(context, 'root.tar'),
      '.',
    ]);
    await cp(node, join(context, 'node'));
    await cp(join(await must(['npm', 'root', '-g']), 'npm'), join(context, 'npm'), { recursive: true });
    await mkdir(join(context, 'ca'));
    // A machine whose registry has a certificate of its own.
    const ca = process.env.NODE_EXTRA_CA_CERTS;
    if (ca !== undefined && existsSync(ca))
      await cp(ca, join(context, 'ca', 'extra.crt'), { dereference: true });
    await writeFile(join(context, 'Dockerfile'), recipe);
    await build({ file: join(context, 'Dockerfile'), context, tag });
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

const recipe = `FROM scratch
ADD root.tar /
COPY node /usr/local/bin/node
COPY npm /usr/local/lib/node_modules/npm
COPY ca /usr/local/share/rom-agent-test
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ENV NODE_EXTRA_CA_CERTS=/usr/local/share/rom-agent-test/extra.crt
RUN chmod 755 /usr/local/lib/node_modules/npm/bin/npm-cli.js && ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
`;

/** overlay where the file system can, since vfs copies every layer. */
function stores(): readonly string[] {
  const driver = process.env.ROM_AGENT_TEST_STORAGE_DRIVER ?? 'overlay';
  return [
    '--root',
    join(storage, driver),
    '--runroot',
    join(storage, `${driver}-run`),
    '--storage-driver',
    driver,
  ];
}

export const files = {
  image: join(repoRoot, 'packaging', 'container', 'Dockerfile'),
  app: join(repoRoot, 'packaging', 'container', 'app.Dockerfile'),
} as const;
