// Shows openapi.json: operations by tag, what they take and answer, and a form to try each.
// Nothing of the description becomes markup other than as text.

const METHODS = ["get", "post", "put", "delete"];

let api;

/** An element with these properties and children; texts are children, too. */
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

/** Text in which `this` is code and an empty line begins a paragraph. */
function prose(text) {
  return (text ?? "")
    .split(/\n{2,}/)
    .filter((paragraph) => paragraph.trim())
    .map((paragraph) => element("p", {}, spans(paragraph)));
}

function spans(text) {
  return text
    .split(/(`[^`]+`|\n)/)
    .filter(Boolean)
    .map((part) => {
      if (part === "\n") return element("br");
      return part.startsWith("`") ? element("code", { textContent: part.slice(1, -1) }) : part;
    });
}

/** What a reference leads to; anything else is itself. */
function resolve(thing) {
  if (!thing?.$ref) return thing;
  const path = thing.$ref.replace(/^#\//, "").split("/");
  return path.reduce((within, key) => within?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], api);
}

const nameOf = (schema) => schema?.$ref?.split("/").at(-1);

/** A schema without the null that it allows. */
function withoutNull(schema) {
  const others = schema.oneOf?.filter((one) => one.type !== "null");
  return others && others.length === 1 && others.length < schema.oneOf.length ? others[0] : schema;
}

const allowsNull = (schema) =>
  [schema.type].flat().includes("null") || Boolean(schema.oneOf?.some((one) => one.type === "null"));

/** The kind of a schema, in a few words. */
function kind(schema) {
  const core = withoutNull(schema);
  const full = resolve(core);
  const nullable = allowsNull(schema) ? " or null" : "";
  const types = [full.type].flat().filter((type) => type && type !== "null");
  let words = types.join(" or ");
  if (types.includes("array")) words = `list of ${kind(full.items)}`;
  else if (full.enum) words = full.enum.filter((value) => value !== null).map((value) => JSON.stringify(value)).join(" | ");
  else if (full.allOf || full.properties) words = nameOf(core) ?? "object";
  else if (full.oneOf) words = full.oneOf.map((one, at) => one.title ?? nameOf(one) ?? `form ${at + 1}`).join(" or ");
  else if (full.format && !/^(int32|int64|double)$/.test(full.format)) words = full.format;
  return words + nullable;
}

/** What a value is held to. */
function limits(schema) {
  const full = { ...resolve(withoutNull(schema)), ...schema };
  const said = [];
  if (full.minimum !== undefined || full.maximum !== undefined) said.push(`${full.minimum ?? ""}…${full.maximum ?? ""}`);
  if (full.minLength !== undefined || full.maxLength !== undefined) {
    said.push(`${full.minLength ?? 0} to ${full.maxLength ?? "any number of"} characters`);
  }
  if (full.minItems !== undefined || full.maxItems !== undefined) {
    said.push(`${full.minItems ?? 0} to ${full.maxItems ?? "any number of"} items`);
  }
  if (full.pattern) said.push(`matches ${full.pattern}`);
  if (full.default !== undefined) said.push(`${JSON.stringify(full.default)} unless given`);
  return said.join(", ");
}

/** One named value: a field, a parameter or a header. */
function named(name, schema, required, description) {
  const said = limits(schema);
  const text = description ?? schema.description ?? resolve(withoutNull(schema))?.description;
  return [
    element(
      "dt",
      {},
      element("code", { textContent: name }),
      " ",
      element("span", { className: "type", textContent: kind(schema) }),
      required ? element("span", { className: "required", textContent: " required" }) : null,
    ),
    element("dd", {}, text ? spans(text) : null, text && said ? element("br") : null, said ? spans(said) : null, inside(schema)),
  ];
}

/** The fields within a value, to be opened. */
function inside(schema) {
  const core = withoutNull(schema);
  const full = resolve(core);
  const deeper = [full.type].flat().includes("array") ? full.items : core;
  const target = resolve(deeper);
  if (!target || !(target.properties || target.allOf || target.oneOf)) return null;
  const open = element("details", {}, element("summary", { textContent: nameOf(deeper) ?? "Fields" }));
  // Filled when it is opened: schemas may hold themselves.
  open.addEventListener("toggle", () => open.childElementCount > 1 || open.append(fields(deeper)), { once: true });
  return open;
}

/** The fields of an object. */
function fields(schema) {
  const full = resolve(schema);
  const box = element("div", { className: "fields" });
  if (full.oneOf) {
    for (const [at, one] of full.oneOf.entries()) {
      box.append(element("h5", { textContent: one.title ?? nameOf(one) ?? `Form ${at + 1}` }), fields(one));
    }
    return box;
  }
  if (full.allOf) {
    box.append(...full.allOf.map(fields));
    return box;
  }
  const list = element("dl");
  for (const [name, value] of Object.entries(full.properties ?? {})) {
    list.append(...named(name, value, full.required?.includes(name)));
  }
  box.append(list);
  return box;
}

/** A value that fits a schema, for a form to begin with. */
function sample(schema, depth = 0) {
  const full = resolve(withoutNull(schema ?? {}));
  if (depth > 5) return null;
  if (full.default !== undefined) return full.default;
  if (full.enum) return full.enum[0];
  if (full.allOf) return Object.assign({}, ...full.allOf.map((one) => sample(one, depth + 1)));
  if (full.oneOf) return sample(full.oneOf[0], depth + 1);
  const type = [full.type].flat()[0];
  if (type === "array") return [sample(full.items, depth + 1)];
  if (type === "object") {
    const needed = Object.entries(full.properties ?? {}).filter(([name]) => full.required?.includes(name));
    return Object.fromEntries(needed.map(([name, value]) => [name, sample(value, depth + 1)]));
  }
  if (type === "integer" || type === "number") return full.minimum ?? 0;
  if (type === "boolean") return false;
  return full.format === "uuid" ? "00000000-0000-0000-0000-000000000000" : "";
}

const json = (value) => JSON.stringify(value, null, 2);

/** What an operation answers. */
function answers(responses) {
  return Object.entries(responses).map(([status, given]) => {
    const response = resolve(given);
    const box = element(
      "details",
      { className: "answer" },
      element("summary", {}, element("strong", { textContent: status }), element("span", {}, spans(response.description))),
    );
    for (const [name, header] of Object.entries(response.headers ?? {})) {
      const full = resolve(header);
      box.append(element("dl", {}, named(name, full.schema ?? {}, false, full.description)));
    }
    for (const [type, content] of Object.entries(response.content ?? {})) {
      box.append(element("p", { className: "type", textContent: type }));
      if (content.example !== undefined) box.append(element("pre", { textContent: json(content.example) }));
      if (content.schema) box.append(fields(content.schema));
    }
    return box;
  });
}

/** A form that makes the request, and shows what is answered. */
function trial(method, path, operation) {
  const parameters = (operation.parameters ?? []).map(resolve);
  const body = resolve(operation.requestBody)?.content?.["application/json"];
  const inputs = parameters.map((parameter) => {
    const choices = resolve(withoutNull(parameter.schema)).enum;
    const input = choices
      ? element("select", {}, ["", ...choices].map((value) => element("option", { value, textContent: value })))
      : element("input", { type: "text", autocomplete: "off", spellcheck: false });
    input.required = Boolean(parameter.required);
    return { parameter, input };
  });
  const text = body && element("textarea", { value: json(body.example ?? sample(body.schema)), spellcheck: false });
  const outcome = element("div", { role: "status" });
  const form = element(
    "form",
    {},
    inputs.map(({ parameter, input }) => element("label", {}, parameter.name, input)),
    text ? element("label", {}, "Body", text) : null,
    element("button", { textContent: "Send" }),
    outcome,
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    outcome.replaceChildren(element("p", { textContent: "Waiting…" }));
    outcome.replaceChildren(...(await send(method, path, inputs, text)));
  });
  return element("details", {}, element("summary", { textContent: "Try it" }), form);
}

async function send(method, path, inputs, text) {
  const headers = {};
  const query = new URLSearchParams();
  let target = path;
  for (const { parameter, input } of inputs.filter(({ input }) => input.value !== "")) {
    if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (parameter.in === "query") query.append(parameter.name, input.value);
    else if (parameter.in === "header") headers[parameter.name] = input.value;
  }
  const token = document.getElementById("token").value.trim();
  if (token) headers.Authorization = `Bearer ${token}`;
  if (text) headers["Content-Type"] = "application/json";
  const asked = new URL(`.${target}${query.size ? `?${query}` : ""}`, document.baseURI);
  try {
    const begun = performance.now();
    const response = await fetch(asked, { method: method.toUpperCase(), headers, body: text?.value });
    const answer = response.headers.get("content-type")?.startsWith("text/event-stream")
      ? "A stream of events, which this page does not follow."
      : await response.text();
    const took = Math.round(performance.now() - begun);
    const said = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    return [
      element("p", {}, element("strong", { textContent: `${response.status} ${response.statusText}` }), ` in ${took} ms`),
      element("pre", { textContent: said }),
      element("pre", { textContent: readable(answer) }),
    ];
  } catch (error) {
    return [element("p", { textContent: `No answer: ${error.message}` })];
  }
}

function readable(text) {
  try {
    return json(JSON.parse(text));
  } catch {
    return text;
  }
}

/** Everything about one operation. */
function shown(method, path, operation) {
  const parameters = (operation.parameters ?? []).map(resolve);
  const body = resolve(operation.requestBody);
  const article = element(
    "article",
    { id: operation.operationId },
    element(
      "h3",
      {},
      element("span", { className: `method ${method}`, textContent: method }),
      element("span", { className: "path", textContent: path }),
    ),
    element("p", {}, spans(operation.summary ?? "")),
    prose(operation.description),
  );
  if (parameters.length) {
    const list = element("dl");
    for (const parameter of parameters) {
      const name = parameter.in === "query" ? parameter.name : `${parameter.name} (${parameter.in})`;
      list.append(...named(name, parameter.schema ?? {}, parameter.required, parameter.description));
    }
    article.append(element("h4", { textContent: "Parameters" }), list);
  }
  for (const [type, content] of Object.entries(body?.content ?? {})) {
    article.append(element("h4", {}, "Body ", element("span", { className: "type", textContent: type })));
    if (content.example !== undefined) article.append(element("pre", { textContent: json(content.example) }));
    article.append(fields(content.schema));
  }
  article.append(element("h4", { textContent: "Answers" }), ...answers(operation.responses), trial(method, path, operation));
  return article;
}

function show() {
  const byTag = new Map();
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((method) => item[method])) {
      const tag = item[method].tags?.[0] ?? "other";
      if (!byTag.has(tag)) byTag.set(tag, []);
      byTag.get(tag).push({ method, path, operation: item[method] });
    }
  }
  document.getElementById("version").textContent = api.info.version;
  const main = document.getElementById("operations");
  const contents = document.getElementById("contents");
  main.replaceChildren(...prose(api.info.description));
  for (const [tag, operations] of byTag) {
    main.append(element("h2", { textContent: tag }));
    const list = element("ul");
    for (const { method, path, operation } of operations) {
      main.append(shown(method, path, operation));
      const link = element(
        "a",
        { href: `#${operation.operationId}` },
        element("span", { className: `method ${method}`, textContent: method }),
        element("span", { textContent: path }),
      );
      list.append(element("li", {}, link));
    }
    contents.append(element("h2", { textContent: tag }), list);
  }
}

/** Leaves what has all the words, in the list and on the page. */
function find(words) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  for (const article of document.querySelectorAll("article")) {
    const text = article.textContent.toLowerCase();
    const hidden = !wanted.every((word) => text.includes(word));
    article.hidden = hidden;
    document.querySelector(`nav a[href="#${article.id}"]`).parentElement.hidden = hidden;
  }
}

async function start() {
  const state = document.getElementById("state");
  try {
    const response = await fetch("openapi.json");
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    api = await response.json();
  } catch (error) {
    state.textContent = `The description cannot be read: ${error.message}`;
    return;
  }
  show();
  const input = document.getElementById("find");
  input.addEventListener("input", () => find(input.value));
  document.addEventListener("keydown", (event) => {
    const writing = event.target.closest("input, textarea, select");
    if (event.key === "/" && !writing) {
      event.preventDefault();
      input.focus();
    }
  });
  // The address may name an operation that is on the page only now.
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

start();
