// A token bucket holds as many tokens as a burst may use, and fills at a steady rate.

/**
 * Limits how often something may happen.
 */
export class TokenBucket {
  #tokens;
  #last;

  /**
   * @param {number} capacity tokens that a full bucket holds
   * @param {number} perSecond tokens that are added each second
   * @param {() => number} now the clock, in milliseconds
   */
  constructor(capacity, perSecond, now = Date.now) {
    if (!(capacity > 0) || !(perSecond > 0)) {
      throw new RangeError("capacity and rate must be positive");
    }
    this.capacity = capacity;
    this.perSecond = perSecond;
    this.now = now;
    this.#tokens = capacity;
    this.#last = now();
  }

  /**
   * Takes tokens if there are enough.
   *
   * @param {number} amount how many
   * @returns {boolean} whether they were taken
   */
  take(amount = 1) {
    this.#fill();
    if (amount > this.#tokens) {
      return false;
    }
    this.#tokens -= amount;
    return true;
  }

  /**
   * How long to wait until this many tokens are there.
   *
   * @param {number} amount how many
   * @returns {number} milliseconds, Infinity if the bucket never holds as many
   */
  waitFor(amount = 1) {
    if (amount > this.capacity) {
      return Infinity;
    }
    this.#fill();
    const missing = Math.max(0, amount - this.#tokens);
    return (missing / this.perSecond) * 1000;
  }

  #fill() {
    const now = this.now();
    const added = ((now - this.#last) / 1000) * this.perSecond;
    this.#tokens = Math.min(this.capacity, this.#tokens + added);
    this.#last = now;
  }
}

export function limited(bucket, action) {
  return (...args) => (bucket.take() ? action(...args) : undefined);
}
