// Asking for a token.

import { h, replace } from "../dom.ts";
import { cleaned, keepToken } from "../session.ts";

/** A form for the token. `reason` says why one is needed now. */
export function signIn(reason: string | null, done: () => void): HTMLElement {
  const message = h("p", { class: "field-error", id: "token-error", role: "alert" });
  const field = h("input", {
    id: "token", name: "token", type: "password", class: "input", autocomplete: "off", spellcheck: "false",
    autocapitalize: "off", required: true, "aria-describedby": "token-hint token-error",
  });
  const form = h("form", {
    class: "sign-in card",
    novalidate: true,
    on: {
      submit: (event) => {
        event.preventDefault();
        if (cleaned(field.value) === "") {
          replace(message, "Paste a token first.");
          field.setAttribute("aria-invalid", "true");
          field.focus();
          return;
        }
        keepToken(field.value);
        field.value = "";
        done();
      },
    },
  },
  h("h1", { tabindex: -1 }, "Sign in"),
  h("p", {}, reason ?? "This gateway asks for a token."),
  h("label", { for: "token", class: "label" }, "Token"),
  field,
  message,
  h("p", { class: "muted small", id: "token-hint" },
    "A JSON Web Token, as in the header Authorization. It stays in this tab until it is closed, and goes to this gateway only. In development: ",
    h("code", {}, "source .dev/env && echo $ASSAY_TOKEN")),
  h("button", { class: "button button-primary", type: "submit" }, "Sign in"));
  return form;
}
