/** What is planned and was done: deploys with their releases, jobs with their runs, the hosts of the fleet. */
import type { DeployRecord, ReleaseEntry } from '../../protocol/deploy.js';
import type { FleetHost } from '../../protocol/fleet.js';
import type { JobRun, JobStatus } from '../../protocol/jobs.js';
import type { DeployTold } from '../api.js';
import type { Commands } from './commands.js';
import { toast } from './dialogs.js';
import { Button, byId, element, keep, put, say } from './dom.js';
import type { Store } from './store.js';
import { ago, bytes, count, duration, moment, plural, wholeSeconds } from './words.js';

const fewDeploys = 8;
/** Of the output of the steps. */
const mostLines = 40;

/** A part of the page is there where the configuration has something of the kind. */
function part(id: string, isThere: boolean): void {
  byId(id).hidden = !isThere;
  const link = document.querySelector<HTMLElement>(`nav a[href="#${id}"]`);
  if (link !== null) link.hidden = !isThere;
}

const buttons = new WeakMap<Element, readonly (() => void)[]>();

/** A button whose reason is looked at again with each frame. */
function act(label: string, name: string, reason: () => string | null, press: () => void) {
  const button = new Button(label, { class: 'button quiet', press, refused: toast });
  button.element.setAttribute('aria-label', name);
  return { button, look: () => (button.reason = reason()) };
}

function lookAt(made: Element): void {
  for (const look of buttons.get(made) ?? []) look();
}

let deployButton: Button | null = null;

export function showDeploys(store: Store, commands: Commands): void {
  const { deploys, lines } = store.operations;
  part('deploys', deploys !== null);
  if (deploys === null) return;
  if (deployButton === null) {
    deployButton = new Button('Deploy', {
      class: 'button main',
      press: () => void commands.deploy(),
      refused: toast,
    });
    byId('deploy-buttons').append(deployButton.element);
  }
  deployButton.reason = commands.againstDeploy();
  const now = store.now();
  const { underWay, current, releases } = deploys;
  say(
    byId('deploys-note'),
    underWay !== null
      ? `${underWay.id}: ${stageWords[underWay.stage]}, begun by ${underWay.by} ${ago(now - underWay.atMs)}`
      : current === null
        ? 'no release serves yet'
        : `${current} serves`,
  );
  keep(byId('deploy-steps'), told(lines, underWay?.id ?? null), {
    key: ({ key }) => key,
    make: ({ atMs, text, step }) => {
      const made = element(
        'li',
        {},
        element('time', {}, atMs === null ? '' : duration(atMs)),
        element('span', {}, text),
      );
      made.dataset.step = step;
      return made;
    },
    update: () => {},
  });
  keep(byId('release-list'), releases, {
    key: ({ id, deploy }) => `${id} ${deploy?.atMs}`,
    make: (release) => releaseLine(release, commands),
    update: (made, { isCurrent, deploy }) => {
      put(made, 'data-current', isCurrent ? '' : null);
      say(made.querySelector('strong + span') ?? made, isCurrent ? ' serves' : '');
      say(made.querySelector('time') ?? made, deploy === null ? '' : moment(deploy.atMs, now));
      lookAt(made);
    },
  });
  keep(byId('deploy-list'), deploys.deploys.slice(0, fewDeploys), {
    key: ({ id, atMs, verdict }) => `${id} ${atMs} ${verdict}`,
    make: deployCard,
    update: (made, { atMs }) => say(made.querySelector('time') ?? made, moment(atMs, now)),
  });
}

const stageWords = {
  check: 'looks whether it can be done',
  fetch: 'fetches the source',
  step: 'runs its steps',
  seal: 'writes it to disk',
  switch: 'points current to it',
  reload: 'reloads the service',
  back: 'goes back',
  prune: 'removes old releases',
} as const;

const deployVerdicts = {
  done: 'done',
  unchanged: 'nothing new',
  failed: 'failed',
  'rolled-back': 'rolled back',
  interrupted: 'interrupted',
} as const;

/** The lines of the deploy that is in progress, or of the last that was begun from here. */
function told(
  lines: readonly DeployTold[],
  underWay: string | null,
): readonly {
  readonly key: string;
  readonly atMs: number | null;
  readonly text: string;
  readonly step: string;
}[] {
  if (underWay !== null && lines[0]?.id !== underWay) return [];
  return lines
    .map(({ id, line }, index) => ({ key: `${id} ${index} ${line.type}`, ...lineInWords(line) }))
    .filter(({ text }) => text !== '')
    .slice(-mostLines);
}

function lineInWords(line: DeployTold['line']): {
  readonly atMs: number | null;
  readonly text: string;
  readonly step: string;
} {
  switch (line.type) {
    case 'answer':
      return { atMs: null, text: line.message, step: 'begun' };
    case 'stage': {
      const name = line.name === null ? '' : ` ${line.name}`;
      const detail = line.detail === '' ? '' : `: ${line.detail}`;
      return {
        atMs: line.atMs,
        text: `${line.stage}${name}${detail}`,
        step: line.stage === 'back' ? 'rollback' : '',
      };
    }
    case 'output':
      return { atMs: null, text: `${line.name}: ${line.text.trimEnd()}`, step: 'output' };
    case 'plan':
      return { atMs: null, text: '', step: '' };
    case 'record': {
      const { verdict, reason, tookMs } = line.record;
      const isGood = verdict === 'done' || verdict === 'unchanged';
      const text = `${deployVerdicts[verdict]}${reason === null ? '' : `: ${reason}`}`;
      return { atMs: tookMs, text, step: isGood ? 'verdict' : 'died' };
    }
  }
}

function releaseLine({ id, deploy }: ReleaseEntry, commands: Commands): HTMLLIElement {
  const back = act(
    'Roll back',
    `Roll back to ${id}`,
    () => commands.againstRollback(id),
    () => void commands.rollback(id),
  );
  const commit = deploy?.commit ?? null;
  const made = element(
    'li',
    {},
    element(
      'div',
      {},
      element('strong', {}, id),
      element('span', { class: 'good-text' }),
      element(
        'p',
        { class: 'muted' },
        element('time'),
        deploy === null ? '' : ` by ${deploy.by}${deploy.ref === null ? '' : `, ${deploy.ref}`} `,
        commit === null ? null : element('code', { title: commit }, commit.slice(0, 12)),
      ),
    ),
    element('div', { class: 'row-actions' }, back.button.element),
  );
  buttons.set(made, [back.look]);
  return made;
}

function deployCard({ id, by, origin, verdict, reason, tookMs, previous }: DeployRecord): HTMLLIElement {
  const isBad = verdict !== 'done' && verdict !== 'unchanged';
  return element(
    'li',
    {},
    element(
      'div',
      { class: 'title' },
      element('strong', { class: isBad ? 'bad-text' : '' }, `${id}: ${deployVerdicts[verdict]}`),
      element('time', { class: 'muted' }),
    ),
    reason === null ? null : element('p', { class: 'cause' }, reason),
    element(
      'p',
      { class: 'facts' },
      element('span', {}, `took ${duration(tookMs)}`),
      element('span', {}, `by ${by}${origin === 'command' ? '' : ` (${origin})`}`),
      previous === null ? null : element('span', {}, `after ${previous}`),
    ),
  );
}

const verdictWords = {
  done: 'done',
  failed: 'failed',
  timeout: 'killed: it took too long',
  memory: 'killed: too much memory',
  ended: 'ended with the service',
  replaced: 'replaced by the next run',
  skipped: 'skipped: the run before was not over',
  missed: 'missed',
  lost: 'lost with its daemon',
} as const;
const bad: ReadonlySet<string> = new Set(['failed', 'timeout', 'memory', 'lost']);

/** How a run stands, in words; `state` is for its mark. */
export function runInWords(run: JobRun, nowMs: number): { readonly text: string; readonly state: string } {
  const { verdict, startedMs, endedMs, exitCode, signal, reason } = run;
  if (verdict === null)
    return { text: `running for ${wholeSeconds((nowMs - startedMs) / 1_000)}`, state: 'starting' };
  const how =
    signal !== null ? ` (${signal})` : exitCode !== null && exitCode !== 0 ? ` (status ${exitCode})` : '';
  const took = endedMs === null || run.attempts === 0 ? '' : ` in ${duration(endedMs - startedMs)}`;
  return {
    text: `${verdictWords[verdict]}${how}${verdict === 'done' ? took : ''}${reason === null ? '' : `: ${reason}`}`,
    state: bad.has(verdict) ? 'hung' : verdict === 'done' ? 'ready' : 'draining',
  };
}

export function showJobs(store: Store, commands: Commands): void {
  const { jobs } = store.operations;
  part('jobs', jobs.length > 0);
  const running = jobs.reduce((sum, job) => sum + job.running.length, 0);
  const failed = jobs.filter(({ last }) => last?.verdict != null && bad.has(last.verdict)).length;
  say(
    byId('jobs-note'),
    `${plural(jobs.length, 'job')}, ${running} running${failed === 0 ? '' : `, the last run of ${failed} failed`}`,
  );
  const now = store.now();
  keep(byId('job-list'), jobs, {
    key: ({ name }) => name,
    make: (job) => jobCard(job, commands),
    update: (made, job) => updateJob(made, job, now),
  });
}

function jobCard({ name }: JobStatus, commands: Commands): HTMLLIElement {
  const run = act(
    'Run now',
    `Run now: ${name}`,
    () => commands.againstChange(),
    () => void commands.runJob(name),
  );
  const log = act(
    'History',
    `History of ${name}`,
    () => null,
    () => void commands.jobHistory(name),
  );
  const made = element(
    'li',
    {},
    element(
      'div',
      { class: 'title' },
      element('strong', {}, name),
      element('div', { class: 'row-actions' }, run.button.element, log.button.element),
    ),
    element('p', {}, element('span', { class: 'state' })),
    element('p', { class: 'facts' }, element('span'), element('span'), element('span')),
  );
  buttons.set(made, [run.look, log.look]);
  return made;
}

function updateJob(made: Element, job: JobStatus, now: number): void {
  const { schedule, timezone, work, enabled, nextMs, running, queued, last } = job;
  const state = made.querySelector('.state');
  const [run = last] = running;
  const told = run === null ? { text: 'has not run yet', state: 'spare' } : runInWords(run, now);
  if (state !== null) {
    put(state, 'data-state', told.state);
    const when = run === null || run.verdict === null ? '' : `, ${moment(run.startedMs, now)}`;
    say(state, `${told.text}${when}${queued > 0 ? `; ${plural(queued, 'run')} waiting` : ''}`);
  }
  const next = !enabled
    ? 'switched off'
    : nextMs === null
      ? 'never due'
      : `next ${moment(nextMs, now)}, in ${wholeSeconds(Math.max(0, nextMs - now) / 1_000)}`;
  const facts = [next, `${schedule}${timezone === null ? '' : ` (${timezone})`}`, work];
  for (const [index, place] of [...made.querySelectorAll('.facts > span')].entries())
    say(place, facts[index] ?? '');
  lookAt(made);
}

export function showHosts(store: Store): void {
  const { fleet } = store.operations;
  part('hosts', fleet !== null);
  if (fleet === null) return;
  const { hosts, redis, reloading, name } = fleet;
  const away = hosts.filter(({ present }) => !present).length;
  say(
    byId('hosts-note'),
    redis.connected
      ? `${name}: ${plural(hosts.length, 'host')}${away > 0 ? `, ${away} away` : ''}${reloading === null ? '' : `; ${reloading} reloads`}`
      : `${name}: Redis at ${redis.address} has not answered for ${wholeSeconds(redis.lostForSeconds ?? 0)}; only this host is known`,
  );
  keep(byId('host-list'), hosts, {
    key: ({ host }) => host,
    make: ({ host }) =>
      element(
        'li',
        {},
        element('div', { class: 'title' }, element('strong', {}, host), element('span', { class: 'state' })),
        element('p', { class: 'facts' }, ...hostFacts.map(() => element('span'))),
      ),
    update: updateHost,
  });
}

const hostFacts: readonly ((host: FleetHost) => string)[] = [
  ({ ready, wanted }) => `${ready} of ${plural(wanted, 'worker')} ready`,
  ({ requestsPerSecond }) => `${count(requestsPerSecond)} requests/s`,
  ({ inFlight }) => `${count(inFlight)} in flight`,
  ({ rssBytes }) => bytes(rssBytes),
  ({ restarts }) => plural(restarts, 'restart'),
  ({ generation, release }) => `generation ${generation}${release === null ? '' : `, ${release}`}`,
  ({ uptimeSeconds }) => `up for ${wholeSeconds(uptimeSeconds)}`,
  ({ version }) => `rom-agent ${version}`,
];

function updateHost(made: Element, host: FleetHost): void {
  const { host: name, self, present, heardAgoMs, status, ready, wanted } = host;
  say(made.querySelector('strong') ?? made, `${name}${self ? ' (this host)' : ''}`);
  const state = made.querySelector('.state');
  if (state !== null) {
    put(state, 'data-state', !present ? 'hung' : ready < wanted ? 'degraded' : 'ready');
    say(state, present ? status : `away: last heard ${ago(heardAgoMs)}`);
  }
  for (const [index, place] of [...made.querySelectorAll('.facts > span')].entries())
    say(place, hostFacts[index]?.(host) ?? '');
}
