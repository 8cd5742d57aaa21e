import {
  configFile,
  defaultOf,
  flagOf,
  type Key,
  keys,
  settingOf,
  variablesOf,
} from '../../src/config/settings.js';

/** docs/reference/settings.md, from the table of settings. */
export function configurationDoc(): string {
  const parts = [introduction, sources, ...groups().map(groupTable), values, example(), dotenv, check];
  return `${parts.join('\n\n')}\n`;
}

/** packaging/rom-agent.toml: every setting with its default, commented out. */
export function exampleToml(): string {
  const head = [
    `# The configuration of rom-agent, read from ${configFile.path} unless ${configFile.flag} names another file.`,
    '# Flags, the environment and .env come before it. Every setting is shown with its default or an example;',
    '# remove the "#" before a setting, and before its [section], to set it. `rom-agent check` shows what holds.',
  ];
  return `${[...head, ...groups().flatMap(tomlGroup)].join('\n')}\n`;
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
    // the forms of a time are explained once, below
    kind.expected.split(':')[0],
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

const introduction = `# Configuration

rom-agent runs without any configuration: it then serves its built-in app on port 3000 with one worker per CPU.
Everything can be set in five places.`;

const sources = `## Where a setting comes from

From the strongest to the weakest:

1. **a flag** of the command line: \`--drain-timeout 45s\`;
2. **the environment**: \`ROM_AGENT_DRAIN_TIMEOUT=45s\`. An empty variable counts as unset;
3. **\`.env\`** in the working directory, with the same variables;
4. **a TOML file**: \`${configFile.path}\` where it exists, or the file that \`${configFile.flag}\` or \`${configFile.variable}\` names, which then must exist. What runs from a checkout, and not as a service, reads \`rom-agent.toml\` in the checkout instead of the file in \`/etc\`;
5. **the default**.

The first place that sets a value wins, for each setting on its own. A value that is overridden is not looked at, so a
flag helps against a variable that was meant for somebody else (some shells export \`HOST\`). The TOML file is the
exception: it belongs to rom-agent alone, so every line of it must be right, and a setting that does not exist is an
error, with a guess at what was meant.

Everything that is wrong is reported at once, with the setting, its value, where it comes from and what would be
right; the exit status is then 78, on which the service is not started again.`;

const values = `## How values are written

- **Times** have a unit, and are strings in TOML: \`"500ms"\`, \`"30s"\`, \`"2m"\`, \`"1.5h"\`. A number without a unit is
  refused, in every source, lest seconds be taken for milliseconds; only \`0\` needs none.
- **Sizes** are whole numbers of mebibytes (MiB).
- **Permission bits** are octal, and strings in TOML too: \`"0660"\`.
- **Relative paths** (\`app\`, \`log.dir\`) start at the working directory; in the TOML file, at the directory of that file.

Some settings must fit each other: \`linger\` is less than \`drain_timeout\`; the two delays under \`[restart]\` are at most
their \`_max\`; mode \`single\` has one worker; \`max_old_space_size\` times \`workers\` is at most \`memory_budget\` where both
are set; \`memory.max_rss\` is more than \`max_old_space_size\`, given or computed; \`dispatch = "reuseport"\` needs Linux and
Node 22.12 (of Node 23: 23.1) or later, and has no spares; the path of a unix socket has at most 107 bytes (103 on macOS).

The number of CPUs is what the CPU affinity of the process and the CPU quotas of its cgroups (version 1 and 2) allow; a
quota is rounded up, so 1.5 CPUs make two workers. Memory is that of the machine or the limit of the cgroups.`;

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

\`packaging/rom-agent.toml\` is a file with every setting, commented out.`;
}

const dotenv = `## .env

\`.env\` is read from the working directory, in the form that Node's \`--env-file\` takes: \`NAME=value\` lines, quotes
where a value has spaces, \`#\` for comments. A variable of \`.env\` counts only where the environment does not set it.

All of its variables, not only those of rom-agent, are handed on to the workers, so that the app finds them in
\`process.env\`. A variable that the environment sets to nothing (\`DEBUG=\`) stays empty for the app. A file that
exists and cannot be read is an error.`;

const check = `## rom-agent check

\`rom-agent check\` takes the same flags as \`serve\`, starts nothing, and prints every setting, its effective value and
where it comes from; \`--json\` prints that as JSON, with times in milliseconds and sizes in MiB. Of \`.env\` it prints only
the names. It exits with 0 where all is well, 78 where the configuration is wrong and 66 where the app's file does not
exist.`;
