import type { Stats } from '../../../src/doctor/facts.js';
import type { Ran, SetupSeam } from '../../../src/setup/world.js';
import { fileError } from '../../support/load-input.js';

export interface FakeFile {
  readonly text: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface HostOptions extends Partial<SetupSeam> {
  /** Contents by path, of root, mode 0644 unless given. */
  readonly files?: Readonly<Record<string, string | Partial<FakeFile>>>;
  /** Modes of folders, 0755 unless given. */
  readonly folders?: Readonly<Record<string, { mode?: number; uid?: number }>>;
  /** What is started; ends well unless told. */
  readonly programs?: (argv: readonly string[]) => Ran | undefined;
}

/** A Linux host in memory, with systemd and a rom-agent of npm. */
export class FakeHost {
  readonly files = new Map<string, FakeFile>();
  readonly ran: string[] = [];
  readonly #options: HostOptions;

  constructor(options: HostOptions = {}) {
    this.#options = options;
    for (const [path, given] of Object.entries({ ...shipped, ...options.files })) {
      const file = typeof given === 'string' ? { text: given } : given;
      this.files.set(path, { text: '', mode: 0o644, uid: 0, gid: 0, ...file });
    }
  }

  /** The paths that were not there at first. */
  paths(): readonly string[] {
    return [...this.files.keys()].filter((path) => !(path in shipped)).sort();
  }

  text(path: string): string | undefined {
    return this.files.get(path)?.text;
  }

  get seam(): SetupSeam {
    const { files, programs: _, folders: __, ...given } = this.#options;
    return {
      platform: 'linux',
      execPath: '/usr/bin/node',
      nodeVersion: '22.1.0',
      uid: 0,
      cwd: '/srv/shop',
      libdir: '/usr/lib/node_modules/rom-agent',
      readFile: (path) => {
        const file = this.files.get(path);
        if (file !== undefined) return file.text;
        throw fileError(this.#isFolder(path) ? 'EISDIR' : 'ENOENT', path);
      },
      stat: (path) => this.#stat(path),
      realpath: (path) => path,
      entries: (folder) => this.#entries(folder),
      run: async () => null,
      tryListen: async () => null,
      portHolder: () => null,
      loadAddon: () => ({}),
      ask: async () => ({ state: 'none' }),
      write: ({ path, content, mode }) => void this.files.set(path, { text: content, mode, uid: 0, gid: 0 }),
      rename: (from, to) => {
        const file = this.files.get(from);
        if (file === undefined) throw fileError('ENOENT', from);
        this.files.delete(from);
        this.files.set(to, file);
      },
      remove: (path) => {
        for (const each of [...this.files.keys()])
          if (each === path || each.startsWith(`${path}/`)) this.files.delete(each);
      },
      removeEmpty: () => {},
      execute: async (argv) => {
        this.ran.push(argv.join(' '));
        return this.#options.programs?.(argv) ?? { ok: true, output: '' };
      },
      monotonic: () => 0,
      sleep: async () => {},
      ...given,
    };
  }

  #isFolder(path: string): boolean {
    const below = path === '/' ? '/' : `${path}/`;
    return (
      path in (this.#options.folders ?? {}) || [...this.files.keys()].some((each) => each.startsWith(below))
    );
  }

  #stat(path: string): Stats | null {
    const file = this.files.get(path);
    if (file !== undefined)
      return { uid: file.uid, gid: file.gid, mode: 0o100000 | file.mode, isDirectory: false };
    if (!this.#isFolder(path)) return null;
    const { mode = 0o755, uid = 0 } = this.#options.folders?.[path] ?? {};
    return { uid, gid: uid, mode: 0o040000 | mode, isDirectory: true };
  }

  #entries(folder: string): readonly string[] {
    const all = [...this.files.keys(), ...Object.keys(this.#options.folders ?? {})];
    const below = all.filter((path) => path.startsWith(`${folder}/`));
    return [...new Set(below.map((path) => path.slice(folder.length + 1).split('/')[0] ?? ''))];
  }
}

/** Execution is a matter of the mode. */
const shipped: Readonly<Record<string, string | Partial<FakeFile>>> = {
  '/run/systemd/system/.there': '',
  '/usr/bin/node': { text: '', mode: 0o755 },
  '/usr/lib/node_modules/rom-agent/dist/cli/main.js': '',
  '/usr/lib/node_modules/rom-agent/systemd/rom-agent@.service':
    '[Service]\nExecStart=@NODE@ @LIBDIR@/dist/cli/main.js serve\n',
  '/usr/lib/node_modules/rom-agent/systemd/rom-agent@.socket': '[Socket]\nListenStream=3000\n',
  '/srv/shop/server.js': '',
  '/srv/shop/package.json': JSON.stringify({ name: '@acme/shop', dependencies: { express: '5' } }),
};
