// The form above a list. What it says is in the address, so that a list can be bookmarked and sent to somebody.

import { h } from "../dom.ts";

export interface Choice {
  readonly value: string;
  readonly label: string;
}

/** Choices of which one holds, beside each other. */
export function choices(legend: string, name: string, options: readonly Choice[], chosen: string, changed: (value: string) => void): HTMLElement {
  const radios = options.map((option) => {
    const input = h("input", {
      type: "radio", name, value: option.value, checked: option.value === chosen,
      on: { change: () => changed(option.value) },
    });
    return h("label", { class: "choice" }, input, h("span", {}, option.label));
  });
  return h("fieldset", { class: "choices" }, h("legend", { class: "visually-hidden" }, legend), ...radios);
}

/** A field with its label. */
export function field(label: string, name: string, value: string, props: Record<string, string> = {}): HTMLElement {
  const id = `filter-${name}`;
  return h("div", { class: "field" }, h("label", { for: id, class: "label" }, label),
    h("input", { id, name, value, class: "input", autocomplete: "off", spellcheck: "false", ...props }));
}

/** A form that hands over what its fields say once somebody presses Enter or its button. */
export function form(label: string, apply: (values: Record<string, string>) => void, ...content: (Node | null)[]): HTMLFormElement {
  const element = h("form", {
    class: "filters", role: "search", "aria-label": label, novalidate: true,
    on: {
      submit: (event) => {
        event.preventDefault();
        const values: Record<string, string> = {};
        for (const [name, value] of new FormData(element)) {
          if (typeof value === "string") {
            values[name] = value.trim();
          }
        }
        apply(values);
      },
    },
  }, ...content);
  return element;
}
