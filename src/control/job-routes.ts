import type { JobLine, JobRun } from '../protocol/jobs.js';
import { ControlError, openLineStream, sendJson, shown } from './answers.js';
import { readFields } from './input-schemas.js';
import type { Question, Route } from './routes.js';

export const jobRoutes: readonly Route[] = [
  {
    ...{ method: 'GET', path: '/v1/jobs', operationId: 'jobs' },
    summary: 'The jobs: when they are due, what runs, and what became of the last run',
    ...{ takes: null, gives: 'Jobs', status: 200 },
    answer: async ({ response, commands }) => sendJson(response, 200, await commands.jobs.list()),
  },
  {
    ...{ method: 'GET', path: '/v1/jobs/{name}/log', operationId: 'jobLog', query: 'JobLogQuery' },
    summary: 'The last runs of a job, and the output of one',
    description: 'The output of a run that is under way is what was kept of it so far.',
    ...{ takes: null, gives: 'JobLog', status: 200 },
    answer: sendLog,
  },
  {
    ...{ method: 'POST', path: '/v1/jobs/{name}/run', operationId: 'runJob' },
    summary: 'Runs a job now',
    description:
      'The first line is the run, its output follows, and the last line is the run with its verdict. The rule of ' +
      '`overlap` holds. A client that disconnects does not end the run.',
    ...{ takes: 'Label', gives: 'JobLine', status: 200, isStream: true },
    answer: run,
  },
];

async function sendLog({ response, id: job, query, commands }: Question): Promise<void> {
  const { run: wanted } = readFields(query, 'JobLogQuery');
  const runs = await commands.jobs.runs(job);
  if (runs === null) throw await noSuchJob(job, commands);
  const found = wanted === undefined ? lastThatBegan(runs) : runs.find(({ id }) => id === wanted);
  if (wanted !== undefined && found === undefined) {
    throw new ControlError(404, `no run ${shown(wanted)} of the job ${job}; its log lists the last ones`);
  }
  const output = found === undefined ? '' : await commands.jobs.output(found);
  sendJson(response, 200, { runs, run: found ?? null, output });
}

function lastThatBegan(runs: readonly JobRun[]): JobRun | undefined {
  return runs.find(({ attempts }) => attempts > 0) ?? runs[0];
}

async function run({ response, fields, id: job, commands, streams }: Question): Promise<void> {
  const { by } = readFields(await fields(), 'Label');
  const id = await commands.jobs.run(job, by);
  if (id === null) throw await noSuchJob(job, commands);
  const stream = openLineStream(response);
  streams.add(stream);
  stream.onOver(() => streams.delete(stream));
  const pass = (line: JobLine): void => {
    stream.write(line);
    if (line.type === 'ended') stream.end();
  };
  const forget = commands.jobs.follow(id, pass);
  if (forget === null) stream.end();
  else stream.onOver(forget);
}

async function noSuchJob(job: string, { jobs }: Question['commands']): Promise<ControlError> {
  const names = (await jobs.list()).map(({ name }) => name);
  const there =
    names.length === 0 ? `the configuration has no section [jobs.${job}]` : `there are ${names.join(', ')}`;
  return new ControlError(404, `no job ${shown(job)}: ${there}`);
}
