// Packs what tsc wrote into few files: on the way to readiness there are a hundred modules, those of the dependencies
// included. pino and sd-notify stay outside: one is loaded late, the other is native. Comments and spaces, of which the
// dependencies have plenty, take time to be read too; lines stay short enough for the stack of a bug to say something.
// Master and worker are packed apart: what they share would be files of its own.
//
// The files are CommonJS: Node 20 takes 0.5 ms for each ES module and some 10 ms for the first one, in the master and
// again in each worker. esbuild splits ES modules only, so that each file is translated after it was packed.
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { build, transform } from 'esbuild';

const output = { platform: 'node', target: 'node20.19', minifyWhitespace: true, minifySyntax: true };

/** Stands where the hash of all files belongs, until it is known. */
const buildMark = '@rom-agent-build@';

/** Directories of the packages of others that end up in the files. */
const packed = new Set();
const rooms = ['cli', 'worker'];
const files = (await Promise.all(rooms.map(pack))).flat();
files.sort((a, b) => (a.path < b.path ? -1 : 1));
const hash = createHash('sha256');
for (const { path, code } of files) hash.update(`${relative('.', path)}\0${code}\0`);
const buildId = hash.digest('hex').slice(0, 12);
await rm('dist', { recursive: true, force: true });
for (const { path, code } of files) {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, code.replaceAll(buildMark, buildId));
}
for (const room of rooms) await putEntry(room);
await writeFile('dist/package.json', '{ "type": "commonjs" }\n');
await writeFile('dist/build-id', `${buildId}\n`);
await writeFile(
  'dist/third-party-licenses.txt',
  (await Promise.all([...packed].sort().map(notice))).join('\n'),
);

async function pack(room) {
  const { outputFiles, metafile } = await build({
    ...output,
    entryPoints: { [`${room}/start`]: `build/tsc/${room}/main.js` },
    outdir: 'dist',
    outbase: 'build/tsc',
    // As deep as the entry points, so that paths relative to import.meta.url are the same everywhere.
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    external: ['pino', 'sd-notify', 'koffi'],
    define: { ROM_AGENT_BUILD: JSON.stringify(buildMark) },
    metafile: true,
    write: false,
  });
  for (const path of Object.keys(metafile.inputs)) {
    const [directory] = /^.*node_modules\/(@[^/]+\/)?[^/]+/.exec(path) ?? [];
    if (directory !== undefined) packed.add(directory);
  }
  return Promise.all(
    outputFiles.map(async ({ path, text }) => ({ path, code: await toCommonJs(text, basename(path)) })),
  );
}

/** Their licences want to be shipped with copies, and no node_modules has them. */
async function notice(directory) {
  const { name, version, license } = JSON.parse(await readFile(join(directory, 'package.json'), 'utf8'));
  const files = (await readdir(directory))
    .filter((file) => /^(licen[cs]e|copying|notice)/i.test(file))
    .sort();
  const texts = await Promise.all(files.map((file) => readFile(join(directory, file), 'utf8')));
  return `== ${name} ${version} (${license})\n\n${texts.map((text) => `${text.replaceAll('\r', '').trim()}\n`).join('\n')}`;
}

/** What is started first, and requires the packed rest, in the syntax of 2015. */
async function putEntry(room) {
  const source = await readFile(`src/${room}/entry.cjs`, 'utf8');
  const { code } = await transform(source, { ...output, target: 'es2015' });
  await writeFile(`dist/${room}/main.js`, code);
}

async function toCommonJs(text, name) {
  const usesUrl = text.includes('import.meta.url');
  const { code } = await transform(text, {
    ...output,
    format: 'cjs',
    lineLimit: 120,
    define: { 'import.meta.url': 'importMetaUrl' },
    banner: `"use strict";${usesUrl ? "const importMetaUrl=require('node:url').pathToFileURL(__filename).href;" : ''}`,
    // An app may be an ES module; what is ours becomes require().
    supported: { 'dynamic-import': name.startsWith('load-app-') },
  });
  return code;
}
