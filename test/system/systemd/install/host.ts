import type { TestContext } from 'node:test';
import { freePort } from '../../../support/net.js';
import type { CommandResult } from '../command.js';
import { inside, type Machine, sharedMachine } from '../machine.js';

/** A host with rom-agent as `npm install -g` leaves it, and with apps. */
export class Host {
  readonly machine: Machine;

  constructor(machine: Machine) {
    this.machine = machine;
  }

  /** `rom-agent ...` as root, without a terminal. */
  rom(...args: string[]): Promise<CommandResult> {
    return this.machine.run([inside.node, main, ...args]);
  }

  /** The same; its output where it ends well, else an Error with it. */
  async must(...args: string[]): Promise<string> {
    return this.machine.must([inside.node, main, ...args]);
  }

  /** As the account of no rights that every Debian has. */
  asNobody(...args: string[]): Promise<CommandResult> {
    return this.machine.run([
      ...['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', inside.node, main],
      ...args,
    ]);
  }

  /** An app with a package.json that answers its text, and its file. */
  async app(
    folder: string,
    { text = 'ok', extra = '', manifest = {} }: { text?: string; extra?: string; manifest?: object } = {},
  ): Promise<string> {
    const path = `${folder}/server.js`;
    await this.machine.writeFile(`${folder}/package.json`, JSON.stringify({ name: 'shop', ...manifest }));
    const source = `${extra}
require('node:http').createServer((request, response) => response.end(${JSON.stringify(text)}))
  .listen(process.env.PORT);\n`;
    await this.machine.writeFile(path, source);
    return path;
  }

  /** Everything of rom-agent's that is on the host, but for its own package. */
  async traces(): Promise<readonly string[]> {
    const script = `ls -d /etc/systemd/system/*rom-agent* /etc/systemd/system/*.wants/*rom-agent* /etc/rom-agent \\
      /etc/default/*rom-agent* /var/lib/*rom-agent* /var/lib/private/*rom-agent* /var/log/*rom-agent* \\
      /var/log/private/*rom-agent* /run/*rom-agent@* 2>/dev/null || :`;
    return (await this.machine.must(['sh', '-c', script])).split('\n').filter(Boolean);
  }

  /** Removes services at the end of a test, whatever became of it. */
  tidy(t: TestContext, ...names: string[]): void {
    t.after(async () => {
      for (const name of names) await this.rom('uninstall', name, '--purge', '--yes');
      const { machine } = this;
      for (const name of names)
        await machine.run(['rm', '-rf', `/srv/${name}`, `/etc/rom-agent/${name}.toml`]);
    });
  }
}

const home = '/usr/local/lib/node_modules/rom-agent';
const main = `${home}/dist/cli/main.js`;

let host: Promise<Host> | null = null;

export function sharedHost(): Promise<Host> {
  host ??= prepare();
  return host;
}

/** The files of the package and the packages that it needs, out of the checkout, which is another place to be. */
async function prepare(): Promise<Host> {
  const machine = await sharedMachine();
  const script = `set -e; umask 022; cd ${inside.repo}; mkdir -p ${home}
    cp -R dist package.json systemd ${home}/
    ${inside.node} packaging/production-modules.mjs | grep -v /node_modules/ | while read -r module; do
      mkdir -p "${home}/$(dirname "$module")"; cp -R "$module" "${home}/$module"; done`;
  await machine.must(['sh', '-c', script]);
  return new Host(machine);
}

export async function ports(count: number): Promise<readonly string[]> {
  const all = [];
  for (let number = 0; number < count; number++) all.push(String(await freePort()));
  return all;
}
