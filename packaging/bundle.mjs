// Packs what tsc wrote into few files: on the way to readiness there are a hundred modules, those of the dependencies
// included. pino and sd-notify stay outside: one is loaded late, the other is native. The dependencies have plenty of comments
// and spaces, which take time to be read too; lines stay short enough for the stack of a bug to say something.
// Master, worker, admin server, backplane and the process of a job are packed apart: what they share would be files of its own.
//
// The files are CommonJS: Node 20 takes 0.5 ms for each ES module and some 10 ms for the first one, in the master and
// again in each worker. esbuild splits ES modules only, so that each file is translated after it was packed.
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { build, transform } from 'esbuild';
import { packPage } from './bundle-page.mjs';

const output = { platform: 'node', target: 'node20.19', minifyWhitespace: true, minifySyntax: true };

/** Stands where the hash of all files belongs, until it is known. */
const buildMark = '@rom-agent-build@';
/** The limit of a line may break the text that it stands in. */
const buildMarks = new RegExp([...buildMark].join('(?:\\\\\n)?'), 'g');

/** Directories of the packages of others that end up in the files. */
const packed = new Set();
const exported = /^export declare (?:function|class) (\w+)/gm;
const rooms = ['cli', 'worker', 'admin', 'backplane', 'deploy', 'jobs'];
/** What apps import, by the file that has its types. */
const faces = { index: 'face', 'socket-io': 'socket-io-face' };
const files = (await Promise.all([...rooms.map(packRoom), packFaces(), packPreload()])).flat();
files.sort((a, b) => (a.path < b.path ? -1 : 1));
const hash = createHash('sha256');
for (const { path, code } of files) hash.update(`${relative('.', path)}\0${code}\0`);
const buildId = hash.digest('hex').slice(0, 12);
await rm('dist', { recursive: true, force: true });
for (const { path, code } of files) {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, code.replaceAll(buildMarks, buildId));
}
for (const room of ['cli', 'worker']) {
  const isMarked = files.some(({ room: of, code }) => of === room && code.search(buildMarks) !== -1);
  if (!isMarked) throw new Error(`the files of ${room} do not say of which build they are`);
}
for (const room of rooms) await putEntry(room);
for (const [name, types] of Object.entries(faces)) await putFace(name, types);
noteLicences(await packPage());
await writeFile('dist/package.json', '{ "type": "commonjs" }\n');
await writeFile('dist/build-id', `${buildId}\n`);
await writeFile(
  'dist/third-party-licenses.txt',
  (await Promise.all([...packed].sort().map(notice))).join('\n'),
);

function packRoom(room) {
  return pack(room, { [`${room}/start`]: `build/tsc/${room}/main.js` });
}

/** What `rom-agent rehearse` has node load before the app. */
function packPreload() {
  return pack('rehearse', { 'rehearse/preload': 'build/tsc/rehearse/preload/main.js' });
}

function packFaces() {
  const names = Object.keys(faces).map((name) => [`app-api/${name}`, `build/tsc/app-api/${name}.js`]);
  return pack('app-api', Object.fromEntries(names));
}

async function pack(room, entryPoints) {
  const { outputFiles, metafile } = await build({
    ...output,
    entryPoints,
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
  noteLicences(Object.keys(metafile.inputs));
  return Promise.all(
    outputFiles.map(async ({ path, text }) => ({ room, path, code: await toCommonJs(text, basename(path)) })),
  );
}

function noteLicences(inputs) {
  for (const path of inputs) {
    const [directory] = /^.*node_modules\/(@[^/]+\/)?[^/]+/.exec(path) ?? [];
    if (directory !== undefined) packed.add(directory);
  }
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

/** One instance for apps of both kinds: the ES module passes on what the CommonJS one has. */
async function putFace(name, types) {
  const exports = [...(await readFile(`src/app-api/${types}.ts`, 'utf8')).matchAll(exported)].map(
    ([, each]) => each,
  );
  await writeFile(
    `dist/app-api/${name}.mjs`,
    `import all from './${name}.js';\nexport const { ${exports.join(', ')} } = all;\n`,
  );
  for (const kind of ['d.ts', 'd.mts'])
    await copyFile(`src/app-api/${types}.ts`, `dist/app-api/${name}.${kind}`);
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
    supported: { 'dynamic-import': /^load-(app|job)-/.test(name) },
  });
  return code;
}
