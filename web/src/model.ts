// What the API answers, as far as the page reads it.

export type Status = "QUEUED" | "RUNNING" | "DONE" | "ERROR";

export const STATUSES: readonly Status[] = ["QUEUED", "RUNNING", "DONE", "ERROR"];

export type Role = "learner" | "instructor" | "admin";

export interface Caller {
  readonly tenant: string;
  readonly subject: string;
  readonly role: Role;
}

export interface Numbers {
  readonly accepted: number;
  readonly done: number;
  readonly error: number;
}

export interface PoolState {
  readonly pool: string;
  readonly queue: {
    readonly ready: number;
    readonly delayed: number;
    readonly leased: number;
    readonly oldestReadySeconds: number | null;
  } | null;
  readonly active: { readonly queued: number; readonly running: number; readonly atLeast: boolean } | null;
  readonly counts: Numbers;
  readonly perSecond: Numbers;
  readonly series: {
    readonly stepSeconds: number;
    readonly accepted: readonly number[];
    readonly done: readonly number[];
    readonly error: readonly number[];
  };
}

export interface Snapshot {
  readonly at: string;
  readonly scope: "all" | "tenant";
  readonly queue: "known" | "away" | "not_configured" | "not_shown";
  readonly database: "known" | "away";
  readonly since: string;
  readonly pools: readonly PoolState[];
}

export interface Failure {
  readonly code: string;
  readonly message: string | null;
}

export interface Job {
  readonly job_id: string;
  readonly submissionId: string;
  readonly status: Status;
  readonly score: number | null;
  readonly feedback: string | null;
  readonly error: Failure | null;
  readonly attempts: number;
  readonly rubric: string;
  readonly rubricVersion: string;
  readonly pool: string;
  readonly priority: number;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly completedAt: string | null;
}

export interface JobDetail extends Job {
  readonly result: unknown;
}

export interface Attempt {
  readonly attempt: number;
  readonly epoch: number;
  readonly scorer: string;
  readonly startedAt: string;
  readonly endedAt: string;
  readonly outcome: string;
  readonly errorCode: string | null;
  readonly message: string | null;
}

export interface Action {
  readonly action: string;
  readonly by: string;
  readonly at: string;
  readonly reason: string | null;
  readonly newJobId: string | null;
}

/** How a job came to where it stands. */
export interface Course {
  readonly tenant: string;
  readonly batchId: string | null;
  readonly traceId: string | null;
  readonly notBefore: string | null;
  readonly suspended: boolean;
  readonly queuedAt: string | null;
  readonly scorer: string | null;
  readonly maxAttempts: number;
  readonly timeoutSeconds: number;
  readonly attempts: readonly Attempt[];
  readonly actions: readonly Action[];
}

export interface DeadLetter extends Job {
  readonly tenant: string;
  readonly batchId: string | null;
  readonly maxAttempts: number;
  readonly cause: string | null;
  readonly redrivenAs: { readonly job_id: string; readonly status: Status | null; readonly at: string } | null;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
  /** So much was looked at that does not match that the page was ended before it was full. */
  readonly cutShort?: boolean;
}

export interface Redriven {
  readonly dryRun: boolean;
  readonly matched: number;
  readonly redriven: number;
  readonly skipped: Readonly<Record<string, number>>;
  readonly complete: boolean;
}

export interface Ticket {
  readonly job_id: string;
  readonly status: Status;
}
