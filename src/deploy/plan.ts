import type { DeploySettings, DeployStep } from '../protocol/deploy.js';
import type { Config } from '../settings/config.js';

/** What a release is made of. */
export type Source =
  | { readonly kind: 'git'; readonly url: string; readonly ref: string | null }
  | { readonly kind: 'tarball'; readonly from: TarballPlace; readonly sha256: string | null }
  | { readonly kind: 'directory'; readonly path: string };

export type TarballPlace = { readonly path: string } | { readonly url: string };

export type Planned = { readonly source: Source } | { readonly problem: string };

export interface PlanInput {
  readonly settings: Pick<DeploySettings, 'source' | 'ref' | 'sha256'>;
  /** What the command names; null: nothing. */
  readonly ref: string | null;
  /** Whether the directory is a git repository, bare or not. */
  readonly isRepository: (path: string) => boolean;
}

const tarballName = /\.(tar|tar\.gz|tgz|tar\.xz|tar\.zst|tar\.bz2)$/;

/** What is to be fetched, from `deploy.source`, `deploy.ref`, `deploy.sha256` and the REF of the command. */
export function planSource({ settings, ref: asked, isRepository }: PlanInput): Planned {
  const { source, ref, sha256 } = settings;
  if (tarballName.test(source))
    return tarball({ source, ref: asked ?? ref, sha256, isAsked: asked !== null });
  const wanted = asked ?? ref;
  if (wanted?.includes('@sha256:') === true || wanted?.startsWith('sha256:') === true)
    return { problem: `the ref ${JSON.stringify(wanted)} has a checksum, which only a tarball has` };
  if (!source.startsWith('/')) {
    // scp's form, user@host:path, and the schemes that git itself takes without a helper.
    if (/^(https?|ssh|git|file):\/\//.test(source) || /^[\w.-]+@[\w.-]+:/.test(source))
      return { source: { kind: 'git', url: source, ref: wanted } };
    return {
      problem: `deploy.source: ${JSON.stringify(source)} is not right: expected the URL of a git repository or a tarball, or an absolute path`,
    };
  }
  if (source.endsWith('.git') || (wanted !== null && isRepository(source)))
    return { source: { kind: 'git', url: source, ref: wanted } };
  if (wanted === null) return { source: { kind: 'directory', path: source } };
  const which = asked === null ? 'deploy.ref' : 'a ref';
  return { problem: `${which} needs a git repository, and deploy.source ${source} is none` };
}

function tarball({
  source,
  ref,
  sha256,
  isAsked,
}: {
  source: string;
  ref: string | null;
  sha256: string | null;
  isAsked: boolean;
}): Planned {
  const [, name = null, digits = null] = /^(.*?)@?(?:sha256:([0-9a-f]{64}))?$/.exec(ref ?? '') ?? [];
  const takesRef = source.includes('{ref}');
  if (ref?.includes('sha256:') === true && digits === null)
    return {
      problem: `the checksum in ${JSON.stringify(ref)} is not right: expected sha256: and 64 hexadecimal digits`,
    };
  if (takesRef && (name ?? '') === '')
    return { problem: 'deploy.source has {ref} in it: name one, or set deploy.ref' };
  if (!takesRef && isAsked && (name ?? '') !== '')
    return { problem: `deploy.source ${source} has no {ref} for which ${name} could stand` };
  const place = source.replaceAll('{ref}', name ?? '');
  // What the command names goes with a checksum that it names: the one of the settings is of another file.
  const expected = digits ?? (takesRef && isAsked ? null : sha256);
  if (place.startsWith('/')) return { source: { kind: 'tarball', from: { path: place }, sha256: expected } };
  const path = /^file:\/\/(\/.*)$/.exec(place)?.[1];
  if (path !== undefined) return { source: { kind: 'tarball', from: { path }, sha256: expected } };
  if (!/^https?:\/\//.test(place))
    return {
      problem: `deploy.source: ${source} is not right: expected an absolute path or a URL of http or https`,
    };
  if (expected === null)
    return {
      problem: `a tarball from a URL needs its checksum: set deploy.sha256, or name it as ${name || 'REF'}@sha256:DIGITS`,
    };
  return { source: { kind: 'tarball', from: { url: place }, sha256: expected } };
}

/** The same source, and of it what another host was given. A directory has no number. */
export function pinned(source: Source, commit: string): Source {
  switch (source.kind) {
    case 'git':
      return { ...source, ref: commit };
    case 'tarball':
      return { ...source, sha256: source.sha256 ?? commit };
    case 'directory':
      return source;
  }
}

/** The source in words. A password in its URL is left out. */
export function describeSource(source: Source): string {
  const plain = (url: string) => url.replace(/^(\w+:\/\/)[^/@]*@/, '$1');
  if (source.kind === 'directory') return `the directory ${source.path}`;
  if (source.kind === 'tarball')
    return `the tarball ${'path' in source.from ? source.from.path : plain(source.from.url)}`;
  return `${source.ref ?? 'the default branch'} of ${plain(source.url)}`;
}

/** The commands in a new release, in their order. */
export function stepsOf({
  install,
  build,
  test,
  steps,
  stepTimeout,
}: Config['deploy']): readonly DeployStep[] {
  const usual = { install, build, test };
  const named = Object.entries(usual).filter(([, command]) => command.length > 0);
  const list = named.map(([name, command]) => ({ name, command, timeoutMs: stepTimeout }));
  return [
    ...list,
    ...steps.map(({ name, command, timeout }) => ({ name, command, timeoutMs: timeout ?? stepTimeout })),
  ];
}

/** What the process gets of the configuration; null where there is nothing to deploy. */
export function deploySettings(config: Config): DeploySettings | null {
  const { deploy, app, workingDirectory } = config;
  if (deploy.source === null) return null;
  return {
    source: deploy.source,
    ref: deploy.ref,
    sha256: deploy.sha256,
    directory: deploy.directory,
    steps: stepsOf(deploy),
    fetchTimeoutMs: deploy.fetchTimeout,
    user: deploy.user,
    env: deploy.env,
    keep: deploy.keep,
    minFreeBytes: deploy.minFree * 2 ** 20,
    minFreeInodes: deploy.minFreeInodes,
    window: deploy.window,
    app,
    workingDirectory,
  };
}

/** `20261127-020000`, in UTC; with a number where that one is taken. */
export function newId(atMs: number, isTaken: (id: string) => boolean): string {
  const [date = '', time = ''] = new Date(atMs).toISOString().replaceAll(/[-:]/g, '').split('T');
  const first = `${date}-${time.slice(0, 6)}`;
  for (let number = 2, id = first; ; number++) {
    if (!isTaken(id)) return id;
    id = `${first}-${number}`;
  }
}
