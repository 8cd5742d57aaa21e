import { count } from '../../protocol/words.js';
import { joinWords } from '../../settings/kinds.js';
import { isChange } from '../../setup/changes.js';
import type { PlannedFile } from '../../setup/plan.js';
import type { Ecosystem } from '../../setup/pm2/apps.js';
import type { Conversion, Seen } from '../../setup/pm2/convert.js';
import type { Verdict } from '../../setup/pm2/outcome.js';
import type { Prepared } from '../../setup/prepare.js';
import { type Colour, plain, table } from '../output.js';
import { type Asking, aboutText, changeText } from './install.js';

/** An app with what comes of it. */
export interface Import {
  readonly conversion: Conversion;
  readonly seen: Seen;
  /** null: it stays with PM2. */
  readonly prepared: Prepared | null;
}

export interface Ready extends Import {
  readonly prepared: Prepared;
}

export function reportOf(
  imports: readonly Import[],
  { ecosystem, terminal: { paint } }: { ecosystem: Ecosystem; terminal: Asking['terminal'] },
): string {
  const blocks = imports.map(({ conversion, prepared }) => {
    const { app, rows, byHand } = conversion;
    const cells = plain(rows).map(({ key, value, verdict, says }) => [
      `  ${key}`,
      value,
      paint(colours[verdict], words[verdict]),
      says,
    ]);
    const by = byHand.map(fileText).join('');
    const plan =
      prepared === null
        ? 'stays with PM2\n'
        : `${aboutText(prepared)}\n${prepared.changes.filter(isChange).map(changeText).join('')}`;
    return `${paint('bold', plain(app.name))}\n${table([['  PM2', 'value', '', 'rom-agent'], ...cells])}\n${by}${plan}`;
  });
  const sections = ecosystem.sections.map((name) => `${plain(name)}: ${sectionText(name)}\n`);
  const ready = imports.filter(({ prepared }) => prepared !== null).length;
  return `${[...blocks, ...sections].join('\n')}\n${count(ready, 'app')} of ${imports.length} can be taken over\n`;
}

/** For programs. The values of variables may be secrets, and are left out. */
export function documentOf(imports: readonly Import[], { sections }: Ecosystem): unknown {
  const apps = imports.map(({ conversion, prepared }) => ({
    app: conversion.app.name,
    service: conversion.name,
    kind: conversion.kind,
    rows: conversion.rows,
    request:
      prepared === null
        ? null
        : { ...prepared.request, environment: Object.keys(prepared.request.environment) },
    files: prepared?.plan.files.map(({ path, mode }) => ({ path, mode })) ?? [],
    commands: prepared?.plan.commands ?? [],
    warnings: prepared?.warnings ?? [],
    timer: conversion.timer?.unit ?? null,
    byHand: conversion.byHand,
  }));
  return { apps, sections };
}

export function nextWithout(ready: readonly Ready[]): readonly string[] {
  return [
    'The services are written, and none is started: PM2 has the ports.',
    'All at once:  sudo rom-agent import --take-over',
    'One by one:',
    ...ready.map(({ conversion, prepared }) => {
      const start = prepared.plan.commands.filter((argv) => !argv.includes('daemon-reload'));
      return `  pm2 stop ${joinWords([conversion.app.name])} && sudo ${start.map(joinWords).join(' && sudo ')}`;
    }),
  ];
}

export function nextWith(ready: readonly Ready[]): readonly string[] {
  const apps = joinWords(ready.map(({ conversion }) => conversion.app.name));
  const names = ready.map(({ conversion }) => conversion.name).join(' ');
  return [
    "PM2's list is as it was, with these apps stopped.",
    `  back      sudo rom-agent import --give-back ${names}`,
    `  for good  pm2 delete ${apps} && pm2 save; once PM2 has no app left: pm2 unstartup`,
    '  look      rom-agent list',
  ];
}

const colours: Readonly<Record<Verdict, Colour>> = {
  becomes: 'green',
  dropped: 'dim',
  todo: 'yellow',
  refused: 'red',
};
const words: Readonly<Record<Verdict, string>> = {
  becomes: 'becomes',
  dropped: 'not needed',
  todo: 'to do',
  refused: 'refused',
};

function sectionText(name: string): string {
  if (name === 'deploy')
    return 'left out: release directories, filled by your CI, and rom-agent reload (docs/how-to/release.md)';
  if (name === 'static') return 'left out: static files are for nginx, or the static middleware of an app';
  return 'left out: PM2 does not know this section either';
}

function fileText({ path, content }: PlannedFile): string {
  return `  ${path}, to be written by hand:\n${plain(content.trimEnd().split('\n'))
    .map((line) => `      ${line}\n`)
    .join('')}\n`;
}
