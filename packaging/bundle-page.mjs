// Packs the page of the dashboard into dist/page: a short script and the one that it loads, the thread that reads heap snapshots,
// and an icon, each with its hash in its name, so that a browser may keep them for ever. index.html names them. The style and the
// icon stand in it, so that the first paint waits for no second answer: the page's Content-Security-Policy has the hash of that style and
// allows nothing else inline.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { build } from 'esbuild';

const source = 'src/admin/page';
const output = 'dist/page';

/** @returns the inputs of the bundle: whose licences are to be shipped */
export async function packPage() {
  const options = {
    outdir: `${output}/assets`,
    entryNames: '[name]-[hash]',
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: ['es2022', 'chrome109', 'firefox115', 'safari16.4'],
    tsconfig: `${source}/tsconfig.json`,
    legalComments: 'none',
    metafile: true,
    loader: { '.svg': 'copy' },
  };
  const first = await build({
    ...options,
    entryPoints: [`${source}/snapshot-reader.ts`, `${source}/icon.svg`],
  });
  const style = await build({ ...options, entryPoints: [`${source}/style.css`], write: false });
  const reader = nameOf(first, 'snapshot-reader.ts');
  const second = await build({
    ...options,
    entryPoints: [`${source}/main.ts`],
    define: { SNAPSHOT_READER: JSON.stringify(`assets/${reader}`) },
  });
  const third = await build({
    ...options,
    entryPoints: [`${source}/start.ts`],
    external: ['./main-*.js'],
    define: { MAIN: JSON.stringify(`./${nameOf(second, 'main.ts')}`) },
  });
  let html = await readFile(join(source, 'index.html'), 'utf8');
  for (const [name, result] of [
    ['icon.svg', first],
    ['main.ts', second],
    ['start.ts', third],
  ]) {
    html = html.replaceAll(`"${name.replace(/\.ts$/, '.js')}"`, `"assets/${nameOf(result, name)}"`);
  }
  html = html.replaceAll(/^ {2,}/gm, '');
  const css = style.outputFiles[0].text.trim();
  if (css.includes('</')) throw new Error("the page's style cannot stand in HTML");
  html = put(html, '<link rel="stylesheet" href="style.css">', `<style>${css}</style>`);
  const icon = await readFile(join(source, 'icon.svg'), 'utf8');
  const [, head, , inside] =
    /^<svg xmlns="[^"]*" (.*?)>(<title>.*<\/title>)(.*<\/svg>)$/s.exec(icon.trim()) ?? [];
  html = put(
    html,
    '<svg id="icon" width="28" height="28" aria-hidden="true"></svg>',
    `<svg ${head} width="28" height="28" aria-hidden="true">${inside}`,
  );
  await mkdir(output, { recursive: true });
  await writeFile(`${output}/index.html`, html);
  return [first, second].flatMap(({ metafile }) => Object.keys(metafile.inputs));
}

function put(html, place, text) {
  if (!html.includes(place)) throw new Error(`index.html has no ${place}`);
  return html.replace(place, () => text);
}

function nameOf({ metafile }, entry) {
  const [path] =
    Object.entries(metafile.outputs).find(
      ([, { entryPoint, inputs }]) =>
        // Where src is a link, its files have longer paths.
        entryPoint?.endsWith(`${source}/${entry}`) ||
        Object.keys(inputs).join().endsWith(`${source}/${entry}`),
    ) ?? [];
  if (path === undefined) throw new Error(`the page's ${entry} was not packed`);
  return basename(path);
}
