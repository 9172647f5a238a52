// Where in the page one is. It stands behind the # of the address, so that the gateway serves one file and it works below any
// path.

export type Route =
  | { readonly view: "pools" }
  | { readonly view: "jobs"; readonly query: URLSearchParams }
  | { readonly view: "job"; readonly id: string }
  | { readonly view: "dead-letters"; readonly query: URLSearchParams }
  | { readonly view: "nowhere"; readonly path: string };

/** Out of an address's hash. */
export function parseRoute(hash: string): Route {
  const text = hash.replace(/^#/, "");
  const [path = "", query = ""] = text.split("?", 2);
  const parts = path.split("/").filter((part) => part !== "");
  const [first, second, ...rest] = parts;
  if (rest.length === 0) {
    if (first === undefined || (first === "pools" && second === undefined)) {
      return { view: "pools" };
    }
    if (first === "jobs") {
      return second === undefined ? { view: "jobs", query: new URLSearchParams(query) } : { view: "job", id: second };
    }
    if (first === "dead-letters" && second === undefined) {
      return { view: "dead-letters", query: new URLSearchParams(query) };
    }
  }
  return { view: "nowhere", path };
}

/** The address of a job. */
export function toJob(id: string): string {
  return `#/jobs/${encodeURIComponent(id)}`;
}

/** The address of a list, without what is empty. */
export function toList(view: "jobs" | "dead-letters", query: Record<string, string | undefined>): string {
  const wanted = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== "") {
      wanted.set(name, value);
    }
  }
  const text = wanted.toString();
  return text === "" ? `#/${view}` : `#/${view}?${text}`;
}
