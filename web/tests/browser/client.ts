// The gateway's API, as other programs use it.

import assert from "node:assert/strict";

import { GATEWAY, TOKEN } from "./harness.ts";

async function request<T>(method: string, path: string, body: unknown, accepted: number[]): Promise<T> {
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (TOKEN !== "") {
    headers["authorization"] = `Bearer ${TOKEN}`;
  }
  const response = await fetch(`${GATEWAY}${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const text = await response.text();
  assert.ok(accepted.includes(response.status), `${method} ${path} answers ${response.status}: ${text}`);
  return JSON.parse(text) as T;
}

/** A new submission. */
export async function submit(number: number): Promise<string> {
  const code = `"""Sums, number ${number}."""\n\n\ndef total(values):\n    """Adds up what is above ${number}."""\n    return sum(value for value in values if value > ${number})\n`;
  const content = { language: "python", files: [{ path: "sums.py", text: code }], documentation: `# Sums ${number}\n\nAdds numbers up.\n` };
  return (await request<{ id: string }>("POST", "/api/submissions", { content, submit: true }, [201])).id;
}

/** Asks for the score of a submission. */
export async function score(submissionId: string, rubric = "default"): Promise<string> {
  return (await request<{ job_id: string }>("POST", "/api/scoring", { submissionId, rubric }, [202])).job_id;
}

/** What the API says of a job. */
export function job(id: string): Promise<{ status: string; score: number | null }> {
  return request("GET", `/api/scoring/${id}`, undefined, [200]);
}

/** Does something for each number below `count`, so many at a time. */
export async function each(count: number, atATime: number, act: (number: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      await act(next - 1);
    }
  };
  await Promise.all(Array.from({ length: atATime }, worker));
}
