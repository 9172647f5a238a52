// What a view is to the page around it.

import type { Caller, Snapshot } from "./model.ts";

/** What the page lends to its views. */
export interface Host {
  readonly caller: Caller;
  /** Goes to an address within the page; what stands in its place is not come back to. */
  readonly go: (hash: string, options?: { replace?: boolean }) => void;
  /** Shows the view anew, as after something was done. */
  readonly refresh: () => void;
  /** Tells what went wrong with something that somebody did. */
  readonly complain: (error: unknown) => void;
  /** Whether a token is asked for now, so that the error needs no other word. */
  readonly needsToken: (error: unknown) => boolean;
}

/** A part of the page under one heading. */
export interface View {
  readonly title: string;
  readonly element: HTMLElement;
  /** Shown from the beginning, or because something has changed: reads anew what it shows. */
  readonly refresh: () => void;
  /** The pools' newest numbers. */
  readonly onSnapshot?: (snapshot: Snapshot) => void;
  /** Puts the focus where one searches. */
  readonly search?: () => void;
  /** Acts upon the row that has the focus, or what is shown. */
  readonly act?: (key: "redrive" | "cancel", row: string | null) => void;
  /** Goes to the next or the previous page. */
  readonly page?: (by: 1 | -1) => void;
  /** Calls off what is under way. */
  readonly leave: () => void;
}
