import { duration, integer, path, setting, steps, text, variables, words } from './kinds.js';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;

/** The settings of `[deploy]`. */
export const deploySection = {
  'deploy.source': setting({
    kind: text({
      pattern: /^(?![-])[\x21-\x7e]+$/,
      expected:
        'a git repository, a tarball or a directory: a URL, or an absolute path, such as "https://git.example.com/shop.git"',
    }),
    default: null,
    unset: 'none: no deploys',
    example: 'https://git.example.com/shop.git',
    description:
      'What `rom-agent deploy` brings into the service: a git repository (a URL, or a path with `deploy.ref`), a tarball (`.tar`, `.tar.gz`, `.tgz`; a path or a URL, in which `{ref}` stands for the REF of the command), or a directory, which is copied.',
  }),
  'deploy.ref': setting({
    kind: text({
      pattern: /^(?![-/])[\w./@+-]{1,200}$/,
      expected: 'a branch, a tag or a commit, such as "main"',
    }),
    default: null,
    unset: "the repository's own",
    example: 'main',
    description: 'Branch, tag or commit that is deployed unless the command names another one.',
  }),
  'deploy.sha256': setting({
    kind: text({ pattern: /^[0-9a-f]{64}$/, expected: '64 hexadecimal digits in lower case' }),
    default: null,
    unset: 'none',
    example: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    description:
      'SHA-256 of the tarball. One from a URL needs it, here or as `rom-agent deploy REF@sha256:DIGITS`.',
  }),
  'deploy.directory': setting({
    kind: path('the path of a directory'),
    default: null,
    computed: true,
    defaultText: '`deploy` in `state_dir`',
    example: '/srv/shop',
    description:
      'Directory with `releases/ID`, one for each release, and `current`, the symbolic link through which `app` leads.',
  }),
  'deploy.install': setting({
    kind: words({ expected: 'a command and its arguments, such as ["npm", "ci", "--omit=dev"]' }),
    default: [],
    example: ['npm', 'ci'],
    description: 'First command in a new release, without a shell. `[]`: none.',
  }),
  'deploy.build': setting({
    kind: words({ expected: 'a command and its arguments, such as ["npm", "run", "build"]' }),
    default: [],
    example: ['npm', 'run', 'build'],
    description: 'Second command in a new release. `[]`: none.',
  }),
  'deploy.test': setting({
    kind: words({ expected: 'a command and its arguments, such as ["npm", "test"]' }),
    default: [],
    example: ['npm', 'test'],
    description: 'Third command in a new release. `[]`: none.',
  }),
  'deploy.steps': setting({
    kind: steps(),
    default: [],
    example: [{ name: 'install', command: ['npm', 'ci'], timeout: 5 * minute }],
    description:
      'The commands in a new release where it takes others than `install`, `build` and `test`, each with its own time limit: in TOML one `[[deploy.steps]]` each.',
  }),
  'deploy.step_timeout': setting({
    kind: duration({ min: second, max: 24 * hour }),
    default: 10 * minute,
    description: 'How long one command may take; then its processes are killed and the deploy has failed.',
  }),
  'deploy.fetch_timeout': setting({
    kind: duration({ min: second, max: 24 * hour }),
    default: 5 * minute,
    description: 'How long it may take to get the source.',
  }),
  'deploy.user': setting({
    kind: text({
      pattern: /^[a-z_][a-z0-9_-]{0,31}$/,
      expected: 'the name of an account, such as "builder"',
    }),
    default: null,
    unset: 'the account of the service',
    example: 'builder',
    description:
      'Account that gets the source and runs the commands, so that they cannot read what the service can. Only root, or CAP_SETUID, can change to another.',
  }),
  'deploy.env': setting({
    kind: variables(),
    default: {},
    example: { NODE_ENV: 'production' },
    description:
      "Variables for git and the commands. Of the service's own environment they get only PATH, LANG, LC_ALL, TZ and TMPDIR.",
  }),
  'deploy.keep': setting({
    kind: integer({ min: 2, max: 100 }),
    default: 5,
    description: 'How many releases are kept, the current one and the one before included.',
  }),
  'deploy.min_free': setting({
    kind: integer({ min: 0, max: 1024 * 1024, unit: 'MiB' }),
    default: 512,
    description:
      'Space that the file system of `deploy.directory` must have free for a deploy to begin, in MiB.',
  }),
  'deploy.min_free_inodes': setting({
    kind: integer({ min: 0, max: 100_000_000 }),
    default: 50_000,
    description: 'Inodes that it must have free; file systems without a fixed number of them always do.',
  }),
  'deploy.schedule': setting({
    kind: text({
      pattern: /^[\w*/,?#LW-]+( +[\w*/,?#LW-]+){4,5}$/,
      expected: 'a cron expression of five or six fields, such as "30 2 * * *"',
    }),
    default: null,
    unset: 'none',
    example: '30 2 * * *',
    description:
      'When a deploy of `deploy.ref` starts by itself, in the time zone of `deploy.window`, else in that of the machine. Where the commit serves already, nothing happens.',
  }),
  'deploy.window': setting({
    kind: text({
      pattern: /^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d( [A-Za-z_]+(\/[A-Za-z0-9_+-]+)*)?$/,
      expected: 'two times of day and a time zone, such as "02:00-05:00 America/Sao_Paulo"',
    }),
    default: null,
    unset: 'any time',
    example: '02:00-05:00 America/Sao_Paulo',
    description:
      'Times of day in which a scheduled deploy may start and switch. One that comes outside of it, as after sleep, waits for the next.',
  }),
  'deploy.hook_secret_file': setting({
    kind: path('the path of a file'),
    default: null,
    unset: 'no webhook',
    example: '/etc/rom-agent/deploy-hook-secret',
    description:
      'File with the secret of a webhook of GitHub or GitLab: with it the server of `admin` takes `POST /hooks/deploy`, which starts a deploy.',
  }),
  'deploy.hook_branch': setting({
    kind: text({
      pattern: /^(?![-/])[\w./@+-]{1,200}$/,
      expected: 'the name of a branch, such as "main"',
    }),
    default: null,
    unset: '`deploy.ref`',
    example: 'main',
    description: 'Only a push to this branch starts a deploy.',
  }),
} as const;
