import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import WebSocket from 'ws';
import type { ClientGroup } from '../../support/load.js';
import { freePort } from '../../support/net.js';
import { type Daemon, fixtures, startDaemon } from '../../support/process.js';

type After = { after(hook: () => void): void };

/** Of every kind, since a proxy has its own ways with each. */
export const clients: readonly ClientGroup[] = [
  { kind: 'keep-alive', count: 6, pauseMs: 10 },
  { kind: 'keep-alive', count: 4, pauseMs: 450 },
  { kind: 'per-connection', count: 4, pauseMs: 5 },
  { kind: 'slow-body', count: 4 },
];

export interface Service {
  readonly daemon: Daemon;
  readonly port: number;
  /** Resolves once the reload has its verdict. */
  reload(): Promise<void>;
}

/** The app of these tests, with the settings that the examples ask for. */
export async function startService(t: After, env: Readonly<Record<string, string>> = {}): Promise<Service> {
  const port = await freePort('127.0.0.1');
  const daemon = startDaemon({
    t,
    args: ['serve', join(fixtures, 'system', 'behind-a-proxy.mjs')],
    env: {
      PORT: String(port),
      HOST: '127.0.0.1',
      WORKERS: '2',
      ROM_AGENT_ROUTES_PREFIX: '/_ops',
      ROM_AGENT_RELOAD_SOAK: '0',
      LOG_LEVEL: 'info',
      ...env,
    },
  });
  await daemon.waitForLine(/"msg":"serving with/);
  let generation = 1;
  return {
    daemon,
    port,
    reload: async () => {
      generation += 1;
      daemon.kill('SIGHUP');
      const verdict = await daemon.waitForLine(
        new RegExp(`"msg":"reload to generation ${generation} [^"]* (?:in|after) `),
      );
      if (!/ done in /.test(verdict)) throw new Error(verdict);
    },
  };
}

export interface Certificate {
  /** Paths; `both` holds the certificate and then its key, as HAProxy wants it. */
  readonly files: { readonly certificate: string; readonly key: string; readonly both: string };
  /** PEM */
  readonly ca: string;
}

/** Signed by itself, for localhost and shop.example. */
export function makeCertificate(t: After): Certificate {
  const directory = mkdtempSync(join(tmpdir(), 'rom-agent-certificate-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const [certificate, key, both] = ['shop.crt', 'shop.key', 'shop.pem'].map((name) => join(directory, name));
  const files = { certificate: `${certificate}`, key: `${key}`, both: `${both}` };
  execFileSync(
    'openssl',
    [
      ...[
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '2',
      ],
      ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,DNS:shop.example'],
      ...['-out', files.certificate, '-keyout', files.key],
    ],
    { stdio: 'pipe' },
  );
  execFileSync('sh', ['-c', 'cat "$1" "$2" >"$3"', 'sh', files.certificate, files.key, files.both]);
  return { files, ca: readFileSync(files.certificate, 'utf8') };
}

/** Puts each text in the place of another one, which is there exactly as often as is said: an example that changes fails. */
export function replaced(
  text: string,
  changes: readonly (readonly [from: string, to: string, times?: number])[],
): string {
  return changes.reduce((changed, [from, to, times = 1]) => {
    const found = changed.split(from).length - 1;
    if (found !== times)
      throw new Error(`the example has ${JSON.stringify(from)} ${found} times, not ${times}`);
    return changed.replaceAll(from, to);
  }, text);
}

export interface SecureAnswer {
  readonly status: number;
  readonly text: string;
}

/** One request over TLS on a connection of its own. */
export function askOverTls(options: { port: number; path: string; ca: string }): Promise<SecureAnswer> {
  return new Promise((resolve, reject) => {
    const headers = { Host: 'shop.example' };
    const signal = AbortSignal.timeout(60_000);
    const given = {
      ...options,
      host: '127.0.0.1',
      servername: 'shop.example',
      headers,
      agent: false,
      signal,
    };
    request(given, (incoming) => {
      let text = '';
      incoming.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, text })).on('error', reject);
    })
      .on('error', reject)
      .end();
  });
}

/** An open WebSocket over TLS. */
export async function openWebSocket({ port, ca }: { port: number; ca: string }): Promise<WebSocket> {
  const options = { ca, servername: 'shop.example' };
  const socket = new WebSocket(`wss://127.0.0.1:${port}/socket`, [], options);
  await once(socket, 'open', { signal: AbortSignal.timeout(60_000) });
  return socket;
}

/** What comes back for a message. */
export async function echo(socket: WebSocket, text: string): Promise<string> {
  const answer = once(socket, 'message', { signal: AbortSignal.timeout(60_000) });
  socket.send(text);
  const [data] = await answer;
  return String(data);
}
