// Records a session with the daemon and draws it: `npm run build && node docs/assets/record.mjs`, on Linux with
// util-linux (script). The commands in docs/assets/session.svg have printed every line of it; only the name of the temporary
// directory is replaced. Eight clients open a connection for each request meanwhile.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const main = join(here, '..', '..', 'dist', 'cli', 'main.js');
const columns = 96;
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'shop-')));

const app = (body) => `const http = require('node:http');\n${body}\n`;
const serving = (text) =>
  app(`http.createServer((request, response) => response.end('${text}\\n')).listen(process.env.PORT);`);
const releases = {
  1: serving('release 1'),
  2: serving('release 2'),
  3: app("throw new Error('DATABASE_URL is not set');"),
};
for (const [name, code] of Object.entries(releases)) {
  mkdirSync(join(folder, 'releases', name), { recursive: true });
  writeFileSync(join(folder, 'releases', name, 'server.js'), code);
}
symlinkSync('releases/1', join(folder, 'current'));

/** What is typed, and what it stands for where that differs. */
const steps = [
  ['rom-agent status'],
  ['ln -s releases/2 next && mv -T next current'],
  ['rom-agent reload'],
  ['ln -s releases/3 next && mv -T next current'],
  ['rom-agent reload || echo "exit status $?"'],
  ['curl localhost:3000', 'curl -s localhost:3000'],
];

const environment = {
  ...process.env,
  TERM: 'xterm-256color',
  WORKERS: '2',
  PORT: '3000',
  ROM_AGENT_CONTROL_SOCKET: join(folder, 'control.sock'),
  ROM_AGENT_STATE_DIR: join(folder, 'state'),
};
const daemon = spawn(process.execPath, [main, 'serve', 'current/server.js'], {
  cwd: folder,
  env: environment,
  stdio: 'ignore',
});
const failures = [];
let ended = false;
try {
  await serves();
  for (let n = 0; n < 8; n++) client();
  const lines = [];
  let clock = 0;
  for (const [typed, run = typed] of steps) {
    lines.push({ at: clock, text: `\u001b[1m$ ${typed}\u001b[0m` });
    clock += 0.6;
    const output = await inTerminal(run);
    for (const { at, text } of output)
      lines.push({ at: clock + at, text: text.replaceAll(folder, '/srv/shop') });
    clock += (output.at(-1)?.at ?? 0) + 1;
  }
  if (failures.length > 0) throw new Error(`a client failed: ${failures[0]}`);
  writeFileSync(join(here, 'session.svg'), draw(lines));
} finally {
  ended = true;
  const exited = new Promise((resolve) => daemon.once('exit', resolve));
  daemon.kill('SIGTERM');
  await exited;
  rmSync(folder, { recursive: true });
}

/** Every worker is ready: the control socket is there from the first one on. */
async function serves() {
  for (;;) {
    const { status, stdout } = spawnSync(process.execPath, [main, 'status', '--json'], { env: environment });
    if (status === 0 && JSON.parse(stdout).workers.every(({ phase }) => phase === 'ready')) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Asks again 50 ms after each answer, over a new connection. */
function client() {
  const again = () => ended || setTimeout(client, 50);
  get('http://localhost:3000/', { agent: false }, (response) => response.resume().on('end', again)).on(
    'error',
    (error) => {
      if (!ended) failures.push(error);
    },
  );
}

/** The lines that a command prints on a terminal, each with the seconds since its start. */
function inTerminal(command) {
  const script = `stty cols ${columns} rows 40; rom-agent() { "${process.execPath}" "${main}" "$@"; }; ${command}`;
  const child = spawn('script', ['-qec', `bash -c '${script.replaceAll("'", "'\\''")}'`, '/dev/null'], {
    cwd: folder,
    env: { ...environment, SHELL: '/bin/bash' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const start = performance.now();
  const lines = [];
  let rest = '';
  child.stdout.on('data', (chunk) => {
    const parts = (rest + chunk).split('\r\n');
    rest = parts.pop() ?? '';
    for (const text of parts) lines.push({ at: (performance.now() - start) / 1000, text });
  });
  return new Promise((resolve) => child.once('close', () => resolve(lines)));
}

function draw(lines) {
  const [width, height] = [columns * 7.8 + 32, lines.length * 18 + 34];
  const rows = lines.map(({ at, text }, row) => {
    const style = `style="animation-delay:${at.toFixed(2)}s"`;
    return `<text x="16" y="${row * 18 + 30}" ${style}>${spans(text)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="A reload, and a release that is rolled back">
<style>
  text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; fill: #d6deeb; white-space: pre; animation: appear 1ms both; }
  @keyframes appear { from { opacity: 0; } }
  .b { font-weight: bold; fill: #ffffff; } .d { fill: #7f8c98; } .r { fill: #ff6b6b; } .g { fill: #7bd88f; } .y { fill: #ffd866; } .c { fill: #78dce8; }
</style>
<rect width="100%" height="100%" rx="8" fill="#1b1f27"/>
${rows.join('\n')}
</svg>
`;
}

/** SGR sequences become classes; the codes are those of src/cli. */
function spans(text) {
  const classes = { 1: 'b', 2: 'd', 31: 'r', 32: 'g', 33: 'y', 36: 'c', 90: 'd' };
  let on = '';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it looks for the escape character.
  const parts = text.split(/\u001b\[([\d;]*)m/);
  return parts
    .map((part, index) => {
      if (index % 2 === 1) {
        on = part
          .split(';')
          .map((code) => classes[code] ?? '')
          .filter(Boolean)
          .join(' ');
        return '';
      }
      const escaped = part.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
      return on === '' || part === '' ? escaped : `<tspan class="${on}">${escaped}</tspan>`;
    })
    .join('');
}
