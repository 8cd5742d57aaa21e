import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** What is installed at once: a folder of test/fixtures/system with a package.json and a lock file. */
export interface AppSet {
  /** Run one after the other in the folder once its packages are there. */
  readonly builds: readonly Build[];
}

export interface Build {
  /** A command of the packages, and its arguments. */
  readonly command: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
  /** Copied after it, from and to where: what a framework's documentation has one copy by hand. */
  readonly copies?: readonly (readonly [string, string])[];
}

export interface HostedApp {
  readonly name: string;
  /** The packages whose versions the page names. */
  readonly packages: readonly string[];
  readonly set: keyof typeof sets;
  /** Below the set's folder, or the command of a package. */
  readonly file: string;
  /** For the app, behind `--`. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Asked under load. At least one of them answers with the worker's `pid` in JSON. Unless told, `/`. */
  readonly paths?: readonly string[];
  /** Another program of clients than HTTP/1.1 ones, below the set's folder; HTTP/1.1 ones come with it where `paths` is given. */
  readonly client?: string;
  /** What prints the mark `cleaned up PID`, in the page's words. */
  readonly cleansUp: string;
  /** What has to be configured for it, in the page's words; without it the app works as it is. */
  readonly configuration?: string;
  /** What else there is to know. */
  readonly note?: string;
  /** Why it does not work, or not all of it; its tests are then expected to fail. */
  readonly fails?: string;
}

export const sets = {
  sample: { builds: [] },
  small: { builds: [] },
  // Of the repository git ignores `.env`.
  site: { builds: [{ command: ['true'], copies: [['dot-env', '.env']] }] },
  native: { builds: [{ command: ['npm', 'rebuild', 'better-sqlite3'], env: compiled() }] },
  restify: { builds: [] },
  sails: { builds: [] },
  adonis: { builds: [] },
  nest: { builds: [{ command: ['tsc'] }] },
  next: {
    builds: [
      { command: ['next', 'build'] },
      {
        command: ['next', 'build'],
        env: { STANDALONE: '1' },
        copies: [['standalone/static', 'standalone/standalone/standalone/static']],
      },
    ],
  },
  nuxt: { builds: [{ command: ['nuxt', 'build'] }] },
  sveltekit: { builds: [{ command: ['vite', 'build'] }] },
  astro: { builds: [{ command: ['astro', 'build'] }] },
  'react-router': { builds: [{ command: ['react-router', 'build'] }] },
} as const satisfies Readonly<Record<string, AppSet>>;

/** For node-gyp: from the sources, with the headers that lie beside this Node where there are any. */
function compiled(): Readonly<Record<string, string>> {
  const prefix = dirname(dirname(process.execPath));
  const headers = existsSync(join(prefix, 'include', 'node', 'node.h'));
  return { npm_config_build_from_source: 'true', ...(headers ? { npm_config_nodedir: prefix } : {}) };
}

const serverClose = '`server.close()` in a SIGTERM handler';

export const hostedApps: readonly HostedApp[] = [
  {
    name: "Express, the generator's app",
    packages: ['express'],
    set: 'sample',
    file: 'express/bin/www',
    paths: ['/', '/workers', '/style.css'],
    cleansUp: serverClose,
  },
  {
    name: 'Express with views, uploads and dotenv',
    packages: ['express', 'ejs', 'multer', 'dotenv'],
    set: 'site',
    file: 'app.js',
    paths: ['/', '/workers', '/style.css'],
    cleansUp: serverClose,
  },
  {
    name: 'better-sqlite3, a native addon',
    packages: ['better-sqlite3'],
    set: 'native',
    file: 'app.js',
    cleansUp: '`database.close()` behind `server.close()`',
  },
  {
    name: 'Koa with terminus',
    packages: ['koa', '@godaddy/terminus'],
    set: 'sample',
    file: 'koa.js',
    cleansUp: '`onSignal` of terminus',
  },
  {
    name: 'Fastify',
    packages: ['fastify'],
    set: 'sample',
    file: 'fastify.js',
    cleansUp: 'an `onClose` hook',
  },
  {
    name: 'Hono',
    packages: ['hono', '@hono/node-server'],
    set: 'sample',
    file: 'hono.mjs',
    cleansUp: serverClose,
  },
  {
    name: 'Socket.IO',
    packages: ['socket.io'],
    set: 'sample',
    file: 'socket-io.js',
    paths: ['/'],
    client: 'socket-io-client.mjs',
    cleansUp: '`io.close()` in a SIGTERM handler',
    note: 'over WebSockets; with long polling it needs `sticky = "cookie"` (dispatch.md)',
  },
  {
    name: 'fastify-cli',
    packages: ['fastify-cli', 'fastify'],
    set: 'small',
    file: 'fastify',
    args: ['start', 'fastify-cli.js'],
    cleansUp: 'an `onClose` hook, by close-with-grace',
    configuration: '`rom-agent serve fastify -- start app.js`',
  },
  {
    name: 'hapi',
    packages: ['@hapi/hapi'],
    set: 'small',
    file: 'hapi.js',
    cleansUp: '`onPostStop` of `server.stop()`',
  },
  {
    name: 'h3',
    packages: ['h3', 'srvx'],
    set: 'small',
    file: 'h3.mjs',
    cleansUp: "'close' of the server, which srvx closes on SIGTERM",
  },
  {
    name: 'Apollo Server',
    packages: ['@apollo/server'],
    set: 'small',
    file: 'apollo.mjs',
    paths: ['/?query=%7Bpid%7D'],
    cleansUp: '`serverWillStop` of a plugin',
  },
  {
    name: 'tRPC',
    packages: ['@trpc/server'],
    set: 'small',
    file: 'trpc.mjs',
    paths: ['/pid'],
    cleansUp: serverClose,
  },
  {
    name: 'gRPC',
    packages: ['@grpc/grpc-js'],
    set: 'small',
    file: 'grpc.js',
    client: 'grpc-client.mjs',
    cleansUp: '`server.tryShutdown()` in a SIGTERM handler',
    note: 'the client sends a call again that crosses the end of its connection, as gRPC libraries do unless told not to (`grpc.enable_retries`)',
  },
  {
    name: 'Polka with http-terminator',
    packages: ['polka', 'http-terminator'],
    set: 'small',
    file: 'polka.js',
    cleansUp: '`terminate()` in a SIGTERM handler',
  },
  {
    name: 'Restify',
    packages: ['restify'],
    set: 'restify',
    file: 'server.js',
    cleansUp: serverClose,
  },
  {
    name: 'Feathers',
    packages: ['@feathersjs/feathers', '@feathersjs/express'],
    set: 'small',
    file: 'feathers.js',
    paths: ['/workers'],
    cleansUp: '`teardown()` of its services',
  },
  {
    name: 'Moleculer with moleculer-web',
    packages: ['moleculer', 'moleculer-web'],
    set: 'small',
    file: 'moleculer.js',
    cleansUp: '`stopped()` of a service',
  },
  {
    name: 'http-proxy, to a server of the same process',
    packages: ['http-proxy'],
    set: 'small',
    file: 'http-proxy.js',
    cleansUp: '`server.close()` of both servers in a SIGTERM handler',
  },
  {
    name: 'ws, a chat',
    packages: ['ws'],
    set: 'small',
    file: 'chat.js',
    paths: ['/'],
    client: 'chat-client.mjs',
    cleansUp: "`close(1001)` of its sockets and the server's `close()` in a SIGTERM handler",
  },
  {
    name: 'NestJS on Express',
    packages: ['@nestjs/core', '@nestjs/platform-express'],
    set: 'nest',
    file: 'dist/express.js',
    cleansUp: '`onApplicationShutdown()`, with `enableShutdownHooks()`',
  },
  {
    name: 'NestJS on Fastify',
    packages: ['@nestjs/core', '@nestjs/platform-fastify'],
    set: 'nest',
    file: 'dist/fastify.js',
    cleansUp: '`onApplicationShutdown()`, with `enableShutdownHooks()`',
  },
  {
    name: "Next.js, `output: 'standalone'`",
    packages: ['next', 'react'],
    set: 'next',
    file: 'standalone/standalone/server.js',
    paths: ['/', '/pid'],
    cleansUp: 'a SIGTERM handler of `instrumentation.js`',
  },
  {
    name: 'Next.js, `next start`',
    packages: ['next', 'react'],
    set: 'next',
    file: 'next',
    args: ['start'],
    paths: ['/', '/pid'],
    cleansUp: 'a SIGTERM handler of `instrumentation.js`',
    configuration: '`rom-agent serve next -- start`',
  },
  {
    name: 'Nuxt, `node-server`',
    packages: ['nuxt'],
    set: 'nuxt',
    file: '.output/server/index.mjs',
    paths: ['/', '/pid'],
    cleansUp: "Nitro's `close` hook",
  },
  {
    name: 'SvelteKit, adapter-node',
    packages: ['@sveltejs/kit', '@sveltejs/adapter-node'],
    set: 'sveltekit',
    file: 'build/index.js',
    paths: ['/', '/pid'],
    cleansUp: '`sveltekit:shutdown`',
  },
  {
    name: 'Astro, standalone',
    packages: ['astro', '@astrojs/node'],
    set: 'astro',
    file: 'dist/server/entry.mjs',
    paths: ['/', '/pid'],
    cleansUp: 'a SIGTERM handler of the middleware',
  },
  {
    name: 'React Router, `react-router-serve`',
    packages: ['@react-router/serve', 'react-router'],
    set: 'react-router',
    file: 'react-router-serve',
    args: ['build/server/index.js'],
    paths: ['/', '/pid'],
    cleansUp: "its own `server.close()`, then 'exit' of the process",
    configuration: '`rom-agent serve react-router-serve -- build/server/index.js`',
  },
  {
    name: 'React Router on Express',
    packages: ['@react-router/express', 'express'],
    set: 'react-router',
    file: 'server.js',
    paths: ['/', '/pid'],
    cleansUp: `${serverClose}, then 'exit' of the process`,
  },
  {
    name: 'Sails',
    packages: ['sails'],
    set: 'sails',
    file: 'app.js',
    cleansUp: '`beforeShutdown` of `sails.lower()`',
  },
  {
    name: 'AdonisJS',
    packages: ['@adonisjs/core'],
    set: 'adonis',
    file: 'server.js',
    cleansUp: '`shutdown()` of a provider',
  },
];
