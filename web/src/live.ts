// A stream of events that is taken up again whenever it is lost.

import { api, Problem } from "./api.ts";
import { pause } from "./backoff.ts";
import { EventReader, type ServerEvent } from "./sse.ts";

/** `stale`: connected, and nothing comes although something should. */
export type LiveState = "connecting" | "live" | "reconnecting" | "stale" | "stopped";

export interface LiveOptions {
  readonly path: string;
  readonly onEvent: (event: ServerEvent) => void;
  readonly onState: (state: LiveState) => void;
  /** What ended it for good: asking again would be answered the same. */
  readonly onRefused: (problem: Problem) => void;
  /** After how long without a word it is stale, and after how long it is given up, in milliseconds. */
  readonly staleAfterMs: number;
  readonly lostAfterMs: number;
}

/** A stream of events that is taken up again whenever it is lost. */
export class LiveStream {
  readonly #options: LiveOptions;
  #controller: AbortController | null = null;
  #state: LiveState = "stopped";

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  get state(): LiveState {
    return this.#state;
  }

  start(): void {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      void this.#run(this.#controller.signal);
    }
  }

  stop(): void {
    this.#controller?.abort();
    this.#controller = null;
    this.#enter("stopped");
  }

  #enter(state: LiveState): void {
    if (this.#state !== state) {
      this.#state = state;
      this.#options.onState(state);
    }
  }

  async #run(stopped: AbortSignal): Promise<void> {
    const from = { lastId: "", retry: 0 };
    let failures = 0;
    this.#enter("connecting");
    while (!stopped.aborted) {
      // A gateway that stops, or wants to see the token once more, ends a stream that was fine: that is no loss.
      let ended = false;
      let least = from.retry;
      try {
        await this.#listen(stopped, from, () => {
          failures = 0;
          ended = true;
        });
      } catch (error) {
        ended = false;
        if (stopped.aborted) {
          return;
        }
        if (error instanceof Problem && (error.status === 401 || error.status === 403)) {
          this.#controller = null;
          this.#enter("stopped");
          this.#options.onRefused(error);
          return;
        }
        if (error instanceof Problem && error.retryAfterMs !== null) {
          least = Math.max(least, error.retryAfterMs);
        }
      }
      if (!stopped.aborted) {
        if (!ended) {
          this.#enter("reconnecting");
        }
        await rest(pause(failures, Math.random(), least), stopped);
        failures += 1;
      }
    }
  }

  /** Listens until the stream ends, or nothing was heard for too long. */
  async #listen(stopped: AbortSignal, from: { lastId: string; retry: number }, onFirst: () => void): Promise<void> {
    const lost = new AbortController();
    const signal = AbortSignal.any([stopped, lost.signal]);
    let staleTimer = 0;
    let lostTimer = setTimeout(() => lost.abort(), this.#options.lostAfterMs);
    const heard = (): void => {
      clearTimeout(lostTimer);
      lostTimer = setTimeout(() => lost.abort(), this.#options.lostAfterMs);
    };
    try {
      const stream = await api.stream(this.#options.path, from.lastId, signal);
      const events = new EventReader();
      events.lastId = from.lastId;
      const pieces = stream.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
      for (;;) {
        const { done, value } = await pieces.read();
        if (done) {
          return;
        }
        heard();
        for (const event of events.read(value)) {
          onFirst();
          this.#enter("live");
          clearTimeout(staleTimer);
          staleTimer = setTimeout(() => this.#enter("stale"), this.#options.staleAfterMs);
          this.#options.onEvent(event);
        }
        from.lastId = events.lastId;
        from.retry = events.retry ?? from.retry;
      }
    } finally {
      clearTimeout(staleTimer);
      clearTimeout(lostTimer);
    }
  }
}

function rest(milliseconds: number, stopped: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    const end = (): void => {
      clearTimeout(timer);
      resolve();
    };
    stopped.addEventListener("abort", end, { once: true });
    // Back at the keyboard, or back on the network: no need to wait.
    addEventListener("online", end, { once: true });
  });
}
