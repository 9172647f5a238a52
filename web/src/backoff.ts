// How long to wait before trying again.

const FIRST_MS = 500;
const LONGEST_MS = 15_000;

/**
 * Twice as long after each failure, and different for each page, so that not all come back to a gateway at the same moment.
 * `random` is between 0 and 1.
 */
export function pause(failures: number, random: number, least = 0): number {
  const ceiling = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures, 10));
  return Math.max(least, ceiling / 2 + (random * ceiling) / 2);
}
