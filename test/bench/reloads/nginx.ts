import { freePort } from '../../support/net.js';
import { startNginx } from '../../support/nginx.js';
import { waitFor } from '../../support/wait.js';
import { type Contender, patience, type Reloadable } from './contender.js';
import { startRomAgent } from './daemon.js';

/** rom-agent behind nginx, which keeps connections to it. */
export const behindNginx: Contender = { name: 'rom-agent behind nginx', share: 1, start };

async function start(): Promise<Reloadable> {
  const upstream = await startRomAgent();
  const port = await freePort('127.0.0.1');
  const nginx = await startNginx({ http: configuration({ port, upstream: upstream.port }) });
  await listening(port);
  return {
    port,
    reload: upstream.reload,
    settled: upstream.settled,
    stop: async () => {
      const log = await nginx.stop();
      if (log !== '') process.stderr.write(`nginx says:\n${log.split('\n').slice(0, 20).join('\n')}\n`);
      await upstream.stop();
    },
  };
}

/** Nothing is sent a second time: what the service loses is seen as a 502. */
function configuration({ port, upstream }: { port: number; upstream: number }): string {
  return `  keepalive_requests 1000000;
  upstream service {
    server 127.0.0.1:${upstream} max_fails=0;
    keepalive 16;
    keepalive_requests 1000000;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://service;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_request_buffering off;
      proxy_next_upstream off;
    }
  }`;
}

async function listening(port: number): Promise<void> {
  const answers = () => fetch(`http://127.0.0.1:${port}/`).then(({ status }) => status === 200);
  await waitFor('nginx', answers, { timeout: patience });
}
