// Dialogs: the browser's own, which keeps the focus inside and gives it back.

import { h, replace } from "../dom.ts";

let count = 0;

/** A dialog under a title. Closed by Escape, by its button, and by a click beside it. */
export function openDialog(title: string, ...content: (Node | string)[]): HTMLDialogElement {
  count += 1;
  const heading = h("h2", { id: `dialog-${count}`, class: "dialog-title" }, title);
  const close = h("button", { class: "icon-button", type: "button", "aria-label": "Close", on: { click: () => dialog.close() } }, "✕");
  const inner = h("div", { class: "dialog-inner" }, h("header", { class: "dialog-head" }, heading, close), ...content);
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": heading.id }, inner);
  const before = document.activeElement;
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) {
      dialog.close();
    }
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (before instanceof HTMLElement && before.isConnected) {
      before.focus();
    }
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

export interface Question {
  readonly title: string;
  readonly text: string;
  /** What the button says: the act itself. */
  readonly act: string;
  readonly danger?: boolean;
  readonly extra?: HTMLElement;
  /** Does it; what it rejects with is shown, and the dialog stays. */
  readonly run: () => Promise<void>;
}

/** Asks before something is done that others notice. */
export function confirm(question: Question): void {
  const message = h("div", { role: "alert", class: "dialog-error" });
  const go = h("button", { class: question.danger ? "button button-danger" : "button button-primary", type: "submit" }, question.act);
  const back = h("button", { class: "button", type: "button", on: { click: () => dialog.close() } }, "Keep as it is");
  const form = h("form", {
    class: "dialog-form",
    on: {
      submit: (event) => {
        event.preventDefault();
        if (go.disabled) {
          return;
        }
        go.disabled = true;
        replace(message);
        question.run().then(
          () => dialog.close(),
          (error: unknown) => {
            go.disabled = false;
            replace(message, error instanceof Error ? error.message : String(error));
          },
        );
      },
    },
  }, h("p", {}, question.text), question.extra, message, h("div", { class: "dialog-actions" }, back, go));
  const dialog = openDialog(question.title, form);
  go.focus();
}
