import type { JobCounters } from '../protocol/jobs.js';
import type { MetricsSnapshot } from '../protocol/metrics.js';
import type { Family, Maybe, Sample } from './family.js';

/** What the master knows of the jobs of the configuration, `[jobs.NAME]`. */
export const jobFamilies: readonly Family[] = [
  {
    name: 'rom_agent_job_runs_total',
    type: 'counter',
    help: 'Runs of a job that are over, by verdict: done, failed, timeout, memory, ended, replaced, skipped, missed, lost.',
    labels: ['job', 'verdict'],
    samples: ({ jobs = [] }) =>
      jobs.flatMap(({ name, verdicts }) =>
        // Zero from the start, so that the first failure is an increase.
        Object.entries({ done: 0, failed: 0, ...verdicts }).map(([verdict, value]) => ({
          labels: [name, verdict],
          value,
        })),
      ),
  },
  {
    name: 'rom_agent_job_seconds_total',
    type: 'counter',
    help: 'Time that the runs of a job took together, their attempts and the waits between them included.',
    labels: ['job'],
    samples: each(({ secondsTotal }) => secondsTotal),
  },
  {
    name: 'rom_agent_job_last_duration_seconds',
    type: 'gauge',
    help: 'How long the last run of a job took.',
    labels: ['job'],
    samples: each(({ lastSeconds }) => lastSeconds),
  },
  {
    name: 'rom_agent_job_last_success_timestamp_seconds',
    type: 'gauge',
    help: 'When a run of a job ended well for the last time, in seconds since 1970; also before a restart of the daemon.',
    labels: ['job'],
    samples: each(({ lastSuccessSeconds }) => lastSuccessSeconds),
  },
  {
    name: 'rom_agent_job_next_timestamp_seconds',
    type: 'gauge',
    help: 'When a job is due next, in seconds since 1970.',
    labels: ['job'],
    samples: each(({ nextSeconds }) => nextSeconds),
  },
  {
    name: 'rom_agent_job_running',
    type: 'gauge',
    help: 'Runs of a job that are under way.',
    labels: ['job'],
    samples: each(({ running }) => running),
  },
  {
    name: 'rom_agent_job_missed_total',
    type: 'counter',
    help: 'Due times of a job that passed while the machine slept or the daemon was down.',
    labels: ['job'],
    samples: each(({ missed }) => missed),
  },
];

function each(value: (job: JobCounters) => Maybe): (snapshot: MetricsSnapshot) => readonly Sample[] {
  return ({ jobs = [] }) =>
    jobs.flatMap((job) => {
      const found = value(job);
      return found === null ? [] : [{ labels: [job.name], value: found }];
    });
}
