// Server-sent events out of a stream of text, as the HTML standard reads them.

export interface ServerEvent {
  readonly event: string;
  readonly data: string;
  /** The last id that was given, be it by an earlier event. */
  readonly id: string;
}

/** Reads events piece by piece. */
export class EventReader {
  #rest = "";
  #event = "";
  #data: string[] = [];
  /** The id to go on from. */
  lastId = "";
  /** How long to wait before coming back, in milliseconds, if the server said so. */
  retry: number | null = null;

  /** Takes in a piece and gives the events that it completes. */
  read(piece: string): ServerEvent[] {
    const events: ServerEvent[] = [];
    let text = this.#rest + piece;
    // A CR at the end may be half of a CRLF.
    const held = text.endsWith("\r") ? "\r" : "";
    text = held ? text.slice(0, -1) : text;
    const lines = text.split(/\r\n|\n|\r/);
    this.#rest = (lines.pop() ?? "") + held;
    for (const line of lines) {
      const event = this.#line(line);
      if (event) {
        events.push(event);
      }
    }
    return events;
  }

  #line(line: string): ServerEvent | null {
    if (line === "") {
      const event = this.#data.length > 0
        ? { event: this.#event || "message", data: this.#data.join("\n"), id: this.lastId }
        : null;
      this.#event = "";
      this.#data = [];
      return event;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    switch (field) {
      case "event":
        this.#event = value;
        break;
      case "data":
        this.#data.push(value);
        break;
      case "id":
        this.lastId = value.includes("\0") ? this.lastId : value;
        break;
      case "retry":
        this.retry = /^\d+$/.test(value) ? Number(value) : this.retry;
        break;
      default:
        break;
    }
    return null;
  }
}
