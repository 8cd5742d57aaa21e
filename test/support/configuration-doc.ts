import { jobDefaultOf, jobFieldOf, jobKeys } from '../../src/settings/jobs.js';
import {
  configFile,
  defaultOf,
  fixedKeys,
  flagOf,
  type Key,
  keys,
  settingOf,
  variablesOf,
} from '../../src/settings/settings.js';

/** docs/reference/settings.md, from the table of settings. */
export function configurationDoc(): string {
  const parts = [
    introduction,
    sources,
    reload(),
    ...groups().map(groupTable),
    jobs(),
    values,
    example(),
    dotenv,
    check,
  ];
  return `${parts.join('\n\n')}\n`;
}

/** packaging/rom-agent.toml: every setting with its default, commented out. */
export function exampleToml(): string {
  const head = [
    `# The configuration of rom-agent, read from ${configFile.path} unless ${configFile.flag} names another file.`,
    '# Flags, the environment and .env override it. The file shows every setting with its default or an example;',
    '# remove the "#" before a setting, and before its [section], to set it. `rom-agent check` prints what is in effect.',
  ];
  const tail = [
    '',
    '# Jobs that run on a schedule have sections of their own, [jobs.NAME]: docs/reference/settings.md lists what stands',
    '# in them, docs/how-to/jobs.md shows how to use them.',
  ];
  return `${[...head, ...groups().flatMap(tomlGroup), ...tail].join('\n')}\n`;
}

interface Group {
  /** Null for the settings above the first section. */
  readonly section: string | null;
  readonly keys: readonly Key[];
}

function groups(): readonly Group[] {
  const sections = [...new Set(keys.map(sectionOf))];
  return sections.map((section) => ({ section, keys: keys.filter((key) => sectionOf(key) === section) }));
}

function sectionOf(key: Key): string | null {
  return key.includes('.') ? key.slice(0, key.indexOf('.')) : null;
}

function nameInSection(key: Key): string {
  return key.slice(key.indexOf('.') + 1);
}

function groupTable({ section, keys }: Group): string {
  const heading = section === null ? '## Settings' : `## Settings under \`[${section}]\``;
  const head = '| Setting | Meaning | Values | Default | Flag | Variable |\n|---|---|---|---|---|---|';
  return [heading, '', head, ...keys.map(row)].join('\n');
}

function row(key: Key): string {
  const { kind, description } = settingOf(key);
  const flag = flagOf(key);
  const cells = [
    `\`${nameInSection(key)}\``,
    description,
    // The page explains the forms of a time once, below.
    kind.expected.split(': ')[0],
    defaultOf(key),
    flag === null ? 'the argument of `serve` and `check`' : `\`${flag}\``,
    variablesOf(key)
      .map((name) => `\`${name}\``)
      .join(', then '),
  ];
  return `| ${cells.join(' | ')} |`;
}

function tomlGroup({ section, keys }: Group): readonly string[] {
  return [...(section === null ? [] : ['', `#[${section}]`]), ...keys.flatMap(tomlSetting)];
}

function tomlSetting(key: Key): readonly string[] {
  const { kind, default: value, example, description } = settingOf(key);
  const shown = value ?? example;
  const note = value === null ? [`# Default: ${defaultOf(key).replaceAll('`', '')}.`] : [];
  const line = `#${nameInSection(key)} = ${kind.literal(shown)}`;
  return ['', `# ${description.replaceAll('`', '')}`, ...note, line];
}

function jobs(): string {
  const rows = jobKeys.map((key) => {
    const { kind, description } = jobFieldOf(key);
    const cells = [`\`${key}\``, description, kind.expected.split(': ')[0], jobDefaultOf(key)];
    return `| ${cells.map((cell) => (cell ?? '').replaceAll('|', '\\|')).join(' | ')} |`;
  });
  return [
    '## Jobs',
    '',
    'Each section `[jobs.NAME]` of the file is a job: [how to run jobs on a schedule](../how-to/jobs.md). There are neither',
    'flags nor variables for them. NAME has 1 to 63 letters, digits, `-` and `_`.',
    '',
    '| Setting | Meaning | Values | Default |\n|---|---|---|---|',
    ...rows,
  ].join('\n');
}

const introduction = `# Configuration

rom-agent needs no configuration: without any it serves its built-in app on port 3000 with one worker per CPU.`;

const sources = `## Where a setting comes from

From the strongest to the weakest:

1. **a flag** of the command line: \`--drain-timeout 45s\`;
2. **the environment**: \`ROM_AGENT_DRAIN_TIMEOUT=45s\`. An empty variable counts as unset;
3. **\`.env\`** in the working directory, with the same variables;
4. **a TOML file**: \`${configFile.path}\` if it exists, or the file that \`${configFile.flag}\` or \`${configFile.variable}\` names, which must exist. A daemon that runs from a checkout, and not as a service, reads \`rom-agent.toml\` in the checkout instead of the file in \`/etc\`;
5. **the default**.

For each setting, the first source that sets it wins. rom-agent does not check a value that another source overrides, so
a flag helps against a variable that has another meaning (some shells export \`HOST\`). The TOML file is the exception:
only rom-agent reads it, so every line of it must be valid. An unknown setting in it is an error, and the message suggests
the closest name.

rom-agent reports all errors at once, each with the setting, its value, its source and what would be valid. It then exits
with status 78, after which systemd does not start the service again.`;

const reload = () => `## What a reload changes

\`rom-agent reload\` reads the configuration again, and the new workers use it. These settings keep their values until the
service restarts: ${fixedKeys.map((key) => `\`${key}\``).join(', ')}.`;

const values = `## How values are written

- **Times** have a unit, and are strings in TOML: \`"500ms"\`, \`"30s"\`, \`"2m"\`, \`"1.5h"\`. A number without a unit is
  an error in every source, because it could mean seconds or milliseconds; only \`0\` needs no unit.
- **Sizes** are whole numbers of mebibytes (MiB).
- **Permission bits** are octal, and strings in TOML as well: \`"0660"\`.
- **Relative paths** (\`app\`, \`log.dir\`) start at the working directory; in the TOML file, at the directory of that file.

Some settings depend on each other: \`linger\` is less than \`drain_timeout\`; the two delays under \`[restart]\` are at most
their \`_max\`; mode \`single\` has one worker; \`max_old_space_size\` times \`workers\` is at most \`memory_budget\` where both
are set; \`memory.max_rss\` is more than \`max_old_space_size\`, given or computed; \`dispatch = "reuseport"\` needs Linux and
Node 22.12 (of Node 23: 23.1) or later, and has no spares; the path of a unix socket has at most 107 bytes (103 on macOS).

The number of CPUs is what the CPU affinity of the process and the CPU quotas of its cgroups (version 1 and 2) allow; a
quota is rounded up, so 1.5 CPUs give two workers. The memory is that of the machine, or the limit of the cgroups if that
is lower.`;

function example(): string {
  return `## An example

\`\`\`toml
# ${configFile.path}
app = "/srv/shop/server.js"
host = "127.0.0.1"
port = 8080
drain_timeout = "45s"

[log]
level = "warn"
\`\`\`

\`packaging/rom-agent.toml\` has every setting, commented out.`;
}

const dotenv = `## .env

rom-agent reads \`.env\` in the working directory, in the format of Node's \`--env-file\`: \`NAME=value\` lines, quotes
around a value with spaces, \`#\` for comments. The environment overrides the variables of \`.env\`.

The workers get all of its variables, not only those of rom-agent, so the app finds them in \`process.env\`. A variable
that the environment sets to an empty string (\`DEBUG=\`) stays empty for the app. A file that exists and cannot be read is
an error.`;

const check = `## rom-agent check

\`rom-agent check\` takes the same flags as \`serve\`, starts nothing, and prints every setting, its effective value and
its source; \`--json\` prints that as JSON, with times in milliseconds and sizes in MiB. It prints the names of the variables
in \`.env\`, not their values. It exits with 0 if the configuration is valid, 78 if it is not, and 66 if the app's file does
not exist.`;
