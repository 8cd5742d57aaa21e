import assert from 'node:assert/strict';
import { get, type IncomingMessage } from 'node:http';
import type { TestContext } from 'node:test';
import { WebSocket } from 'ws';
import { describeLoad, startLoad } from '../../../support/load.js';
import { waitFor } from '../../../support/wait.js';
import { inside, type Machine } from '../machine.js';
import { type Service, service } from '../service.js';

/** While it is there the downloads end. */
const finish = '/etc/rom-agent-upgrade/finish';
export const control = '/run/rom-agent-upgrade/control.sock';
const patience = 180_000;

export const clients = [
  { kind: 'keep-alive', count: 4, pauseMs: 10 },
  { kind: 'keep-alive', count: 2, pauseMs: 50 },
  { kind: 'per-connection', count: 4, pauseMs: 10 },
  { kind: 'pipelining', count: 2, pauseMs: 10 },
] as const;

export interface Setup {
  /** Of the unit, so that what its journal has is of this test. */
  readonly name?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The program of ExecStart=. */
  readonly node?: string;
  readonly main?: string;
  readonly settings?: readonly string[];
  readonly socket?: readonly string[];
}

/** The service whose daemon is upgraded: the shipped unit with an app that has downloads and WebSockets. */
export async function upgradable(machine: Machine, t: TestContext, setup: Setup = {}): Promise<Service> {
  const {
    name = 'upgrade',
    env = {},
    node = inside.node,
    main = `${inside.repo}/dist/cli/main.js`,
    settings = [],
    socket,
  } = setup;
  await machine.must(['sh', '-c', 'mkdir -p /etc/rom-agent-upgrade; rm -f "$1"', 'sh', finish]);
  const own = await service(machine, t, {
    name,
    app: 'upgrade.cjs',
    env: {
      FINISH: finish,
      ROM_AGENT_CONTROL_SOCKET: control,
      ROM_AGENT_RELOAD_SOAK: '1s',
      ROM_AGENT_LINGER: '20s',
      ...env,
    },
    settings: [
      'ExecStart=',
      `ExecStart=${node} ${main} serve`,
      'RuntimeDirectory=rom-agent-upgrade',
      ...settings,
    ],
    ...(socket === undefined ? {} : { socket }),
  });
  await own.start();
  return own;
}

export async function upgrade(machine: Machine, ...args: readonly string[]) {
  const { code, stdout, stderr } = await machine.run(
    [inside.node, `${inside.repo}/dist/cli/main.js`, 'upgrade', '--control-socket', control, ...args],
    { timeout: 300_000 },
  );
  return { code, said: `${stdout}${stderr}` };
}

/** What a command that asks the daemon prints. */
export function run(machine: Machine, command: string): Promise<string> {
  const main = `${inside.repo}/dist/cli/main.js`;
  return machine.must([inside.node, main, command, '--control-socket', control]);
}

/** WebSockets, downloads and load of both kinds on a service. */
export interface Traffic {
  /** Of the Node.js that serves a new connection. */
  node(): Promise<string>;
  /** Every WebSocket still has its echo; the Node.js that each is served by. */
  echoes(): Promise<readonly string[]>;
  /** Ends the downloads and the load: nothing was cut, lost or refused. */
  whole(): Promise<void>;
  closeWebSockets(): void;
}

export async function traffic(
  t: TestContext,
  machine: Machine,
  { port }: Service,
  { webSockets, downloads }: { readonly webSockets: number; readonly downloads: number },
): Promise<Traffic> {
  const sockets = await Promise.all(Array.from({ length: webSockets }, () => openSocket(t, port)));
  const files = await Promise.all(Array.from({ length: downloads }, () => download(t, port)));
  const load = startLoad({
    url: `http://127.0.0.1:${port}/`,
    clients: [...clients],
    t: { after: (hook) => t.after(async () => void (await hook())) },
  });
  await load.reached(200, patience);
  return {
    node: async () => (JSON.parse(await text(port, '/')) as { node: string }).node,
    echoes: () => Promise.all(sockets.map(({ echo }) => echo())),
    closeWebSockets: () => {
      for (const { close } of sockets) close();
    },
    whole: async () => {
      await load.reached(200, patience);
      await machine.must(['touch', finish]);
      for (const { whole } of files) assert.match(await whole, /^(a piece\n)+the end\n$/);
      const report = await load.stop();
      assert.equal(report.failed + report.refused, 0, describeLoad(report));
      assert.deepEqual(
        sockets.filter(({ isCut }) => isCut()),
        [],
        'WebSockets were cut',
      );
    },
  };
}

async function openSocket(t: TestContext, port: number) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
  t.after(() => socket.terminate());
  let cut = false;
  let closing = false;
  const said: string[] = [];
  socket.on('message', (data) => said.push(String(data)));
  socket.on('close', () => {
    cut = !closing;
  });
  socket.on('error', () => {});
  await waitFor('a WebSocket', () => socket.readyState === WebSocket.OPEN, { timeout: patience });
  let count = 0;
  return {
    isCut: () => cut,
    close: () => {
      closing = true;
      socket.close();
    },
    echo: async (): Promise<string> => {
      const word = `word-${++count}`;
      socket.send(word);
      const line = await waitFor(`an echo of ${word}`, () => said.find((each) => each.endsWith(word)), {
        timeout: patience,
      });
      return String(line).split(' ')[0] ?? '';
    },
  };
}

/** Begins one; `whole` is its text. */
function download(t: TestContext, port: number): Promise<{ readonly whole: Promise<string> }> {
  return new Promise((resolve, reject) => {
    const request = get({ host: '127.0.0.1', port, path: '/download', agent: false }, (response) => {
      const whole = textOf(response);
      whole.catch(() => {});
      resolve({ whole });
    });
    t.after(() => request.destroy());
    request.on('error', reject);
  });
}

function text(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(
      { host: '127.0.0.1', port, path, agent: false },
      (response) => void textOf(response).then(resolve, reject),
    ).on('error', reject);
  });
}

async function textOf(response: IncomingMessage): Promise<string> {
  let whole = '';
  for await (const part of response.setEncoding('utf8')) whole += part;
  if (!response.complete) throw new Error(`cut after ${whole.length} characters`);
  return whole;
}

/** The service has one master again, which is the main process. */
export async function alone(own: Service): Promise<void> {
  const master = await own.master();
  await waitFor('one master with its workers', () => own.processes(), {
    timeout: patience,
    until: (all) => all.every(({ pid, parent }) => pid === master || parent === master),
  });
}
