/** What is over: deaths with their evidence, reloads with their steps, files. */
import type { ReloadStep, ReloadSummary } from '../../protocol/reload-record.js';
import type { EvidenceFile } from '../api.js';
import type { Commands } from './commands.js';
import { type Death, subject } from './diagnosis.js';
import { openDialog } from './dialogs.js';
import { byId, element, keep, say } from './dom.js';
import { evidencePath } from './link.js';
import { showProfile } from './profile-dialog.js';
import type { Store } from './store.js';
import { bytes, duration, inWords, moment, ownFrame, plural, wholeSeconds } from './words.js';

const fewDeaths = 8;
const fewReloads = 8;
let allDeaths = false;

export function watchRecords(again: () => void): void {
  byId('more-deaths').addEventListener('click', () => {
    allDeaths = !allDeaths;
    again();
  });
}

export function showDeaths(store: Store): void {
  const deaths = store.deaths();
  const now = store.now();
  byId('no-deaths').hidden = deaths.length > 0;
  say(
    byId('deaths-note'),
    deaths.length === 0 ? '\u00a0' : `${plural(deaths.length, 'death')} that nobody asked for, newest first`,
  );
  const more = byId<HTMLButtonElement>('more-deaths');
  more.hidden = deaths.length <= fewDeaths;
  say(more, allDeaths ? 'Show fewer' : `Show all ${deaths.length}`);
  keep(byId('death-list'), allDeaths ? deaths : deaths.slice(0, fewDeaths), {
    key: ({ pid, generation, worker }) => `${pid} ${generation} ${worker}`,
    make: deathCard,
    update: (made, { atMs }) => {
      const time = made.querySelector('time');
      if (time !== null) say(time, moment(atMs, now));
    },
  });
}

const kinds = { boot: 'did not start', crash: 'crashed', hang: 'was hung, and killed' } as const;

function deathCard(death: Death): HTMLLIElement {
  const {
    worker,
    kind,
    cause,
    code,
    signal,
    uptimeSeconds,
    requests,
    lost,
    stack,
    generation,
    pid,
    oomKills,
  } = death;
  const at = ownFrame(stack);
  const facts = [
    pid === null ? null : `pid ${pid}`,
    `generation ${generation}`,
    signal !== null ? `ended by ${signal}` : code !== null ? `exit status ${code}` : null,
    `lived ${wholeSeconds(uptimeSeconds)}`,
    `${plural(lost, 'request')} without an answer`,
    oomKills > 0 ? `the kernel killed ${plural(oomKills, 'process', 'processes')} for memory` : null,
  ];
  return element(
    'li',
    {},
    element(
      'div',
      { class: 'title' },
      element('strong', {}, `${subject(worker)} ${kinds[kind]}`),
      element('time', { class: 'muted' }),
    ),
    element('p', { class: 'cause' }, cause),
    at === null ? null : element('p', { class: 'at' }, 'in ', element('code', { title: at }, inWords(at))),
    requests.length === 0
      ? null
      : element(
          'p',
          { class: 'at' },
          'while it answered ',
          ...requests
            .slice(0, 10)
            .flatMap(({ method, path, ageMs }, index) => [
              index === 0 ? '' : ', ',
              element('code', {}, `${method} ${path}`),
              ` (${duration(ageMs)})`,
            ]),
        ),
    element(
      'p',
      { class: 'facts' },
      ...facts.filter((fact) => fact !== null).map((fact) => element('span', {}, fact)),
    ),
    stack === null
      ? null
      : element(
          'details',
          {},
          element('summary', {}, 'Stack'),
          element('pre', { attributes: { tabindex: '0', role: 'region', 'aria-label': 'Stack' } }, stack),
        ),
  );
}

const verdicts = {
  done: 'done',
  'rolled-back': 'rolled back',
  superseded: 'superseded by the next one',
  stopped: 'ended with the service',
} as const;

export function showReloads(store: Store): void {
  const { stats } = store;
  const now = store.now();
  const reloads = stats?.reloads ?? [];
  const last = stats?.lastReload ?? null;
  byId('no-reloads').hidden = reloads.length > 0 || last !== null;
  say(
    byId('reloads-note'),
    last === null
      ? '\u00a0'
      : last.verdict === null
        ? `to generation ${last.generation}, under way for ${wholeSeconds(Math.max(0, now - last.atMs) / 1_000)}`
        : `generation ${stats?.generation} serves`,
  );
  keep(byId('steps'), last === null ? [] : store.steps.slice(-40), {
    key: ({ atMs, step, worker, generation }) => `${last?.serial} ${atMs} ${step} ${worker} ${generation}`,
    make: stepLine,
    update: () => {},
  });
  keep(byId('reload-list'), reloads.slice(0, fewReloads), {
    key: ({ serial, verdict }) => `${serial} ${verdict}`,
    make: reloadCard,
    update: (made, { atMs }) => {
      const time = made.querySelector('time');
      if (time !== null) say(time, moment(atMs, now));
    },
  });
}

const stepWords: Readonly<Record<ReloadStep['step'], string>> = {
  begun: 'begun',
  forked: 'started',
  mirror: 'is asked what the others answer',
  mirrored: 'compared',
  ready: 'ready',
  probed: 'answered the probe',
  soaked: 'watched',
  draining: 'drains',
  died: 'died',
  rollback: 'rolled back',
  verdict: 'verdict',
};

function stepLine({ atMs, step, worker, generation, detail }: ReloadStep): HTMLLIElement {
  const who =
    worker === null ? '' : `worker ${worker}${generation === null ? '' : ` of generation ${generation}`} `;
  const made = element(
    'li',
    {},
    element('time', {}, duration(atMs)),
    element('span', {}, `${who}${stepWords[step] ?? step}${detail === '' ? '' : `: ${detail}`}`),
  );
  made.dataset.step = step;
  return made;
}

function reloadCard({
  generation,
  verdict,
  reason,
  by,
  release,
  tookMs,
  accepted,
  moved,
  lost,
}: ReloadSummary): HTMLLIElement {
  const facts = [
    tookMs === null ? null : `took ${duration(tookMs)}`,
    `by ${by}`,
    `${plural(accepted, 'connection')} accepted`,
    `${plural(moved, 'request')} answered after the move`,
    `${plural(lost, 'request')} lost`,
  ];
  return element(
    'li',
    {},
    element(
      'div',
      { class: 'title' },
      element(
        'strong',
        { class: verdict === 'rolled-back' ? 'bad-text' : '' },
        `Generation ${generation}: ${verdict === null ? 'under way' : verdicts[verdict]}`,
      ),
      element('time', { class: 'muted' }),
    ),
    reason === null ? null : element('p', { class: 'cause' }, reason),
    element('p', { class: 'at' }, element('code', {}, release)),
    element(
      'p',
      { class: 'facts' },
      ...facts.filter((fact) => fact !== null).map((fact) => element('span', {}, fact)),
    ),
  );
}

const mostFiles = 50;
const fileKinds = { profile: 'CPU profile', 'heap-snapshot': 'Heap snapshot', other: 'File' } as const;

export function showEvidence(store: Store, commands: Commands): void {
  const now = store.now();
  byId('no-evidence').hidden = store.evidence.length > 0;
  keep(byId('evidence-list'), store.evidence.slice(0, mostFiles), {
    key: ({ name, bytes: size }) => `${name} ${size}`,
    make: (file) => fileLine(file, now, commands),
    update: () => {},
  });
}

function fileLine(
  { name, kind, worker, bytes: size, atMs }: EvidenceFile,
  now: number,
  commands: Commands,
): HTMLLIElement {
  const title = `${fileKinds[kind]}${worker === null ? '' : ` of worker ${worker}`}`;
  const open =
    kind === 'other'
      ? null
      : element(
          'button',
          {
            class: 'button',
            attributes: {
              type: 'button',
              'aria-label': `${kind === 'profile' ? 'Flame graph' : 'What keeps memory'}: ${name}`,
            },
            click: () => {
              const dialog = openDialog(title, { wide: true });
              void (kind === 'profile'
                ? showProfile(dialog, name)
                : commands.openSnapshot(dialog, name, size));
            },
          },
          kind === 'profile' ? 'Flame graph' : 'What keeps memory',
        );
  return element(
    'li',
    {},
    element(
      'div',
      {},
      element('strong', {}, title),
      element('p', { class: 'muted' }, `${moment(atMs, now)} · ${bytes(size)} · `, element('code', {}, name)),
    ),
    element(
      'div',
      { class: 'row-actions' },
      open,
      element(
        'a',
        {
          class: 'button quiet',
          attributes: { href: evidencePath(name), download: name, 'aria-label': `Download ${name}` },
        },
        'Download',
      ),
    ),
  );
}
