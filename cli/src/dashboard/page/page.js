// Listens to the dashboard and keeps the page as the table is.

import { View, clock, element, form, length, looks, turn } from "./view.js";

const SECTIONS = ["down", "held", "broken", "well"];
const COUNTS = [["open", "open"], ["half-open", "half_open"], ["held", "held_open"], ["unreadable", "unreadable"], ["closed", "closed"]];
const MOST_NEWS = 11;
const at = (id) => document.getElementById(id);

const views = new Map();
// What the dashboard has told of itself and of the table.
let about = null;
let told = null;
// How far the dashboard's clock is ahead of this one, in milliseconds.
let ahead = 0;
let heard = performance.now();
let lostSince = null;
let source = null;

const now = () => Date.now() + ahead;

function connect() {
  source?.close();
  source = new EventSource("/events");
  source.addEventListener("all", (event) => all(JSON.parse(event.data)));
  source.addEventListener("changed", (event) => changed(JSON.parse(event.data)));
  source.addEventListener("error", lost);
}

function lost() {
  lostSince ??= now();
  show();
}

// Everything, on each connection.
function all(data) {
  // Another run has another token, and perhaps another page.
  if (about !== null && about.run !== data.about.run) return location.reload();
  about = data.about;
  at("table").textContent = about.table;
  at("place").textContent = about.place;
  const names = new Set(data.circuits.map((circuit) => circuit.name));
  take(data, [...views.keys()].filter((name) => !names.has(name)));
}

function changed(data) {
  announce(data.circuits);
  take(data, data.gone);
}

function take(data, gone) {
  heard = performance.now();
  lostSince = null;
  ahead = data.now - Date.now();
  const isFirst = (told?.read_at ?? null) === null;
  const isOther = (told?.nothing ?? null) !== data.nothing;
  told = data;
  for (const name of gone) {
    views.get(name)?.item.remove();
    views.delete(name);
  }
  for (const circuit of data.circuits) {
    if (!views.has(circuit.name)) views.set(circuit.name, new View());
    views.get(circuit.name).update(circuit, now(), about.window);
  }
  // An empty table is worth a word too.
  if (gone.length > 0 || data.circuits.length > 0 || isFirst || isOther) place();
  show();
}

// Says to those who do not see it what a circuit has become.
function announce(circuits) {
  const turned = circuits.filter((circuit) => {
    const before = views.get(circuit.name)?.circuit.look;
    return before !== undefined && before !== circuit.look;
  });
  if (turned.length > 3) at("told").textContent = `${turned.length} circuits have changed`;
  else if (turned.length > 0) {
    at("told").textContent = turned.map((one) => `${one.label}: ${looks[one.look].word.toLowerCase()}`).join(", ");
  }
}

// Puts each circuit into its section, by name, and counts.
function place() {
  // Nothing is known yet: no count is better than a zero.
  if (!told?.read_at) return;
  const wanted = at("filter").value.trim().toLowerCase();
  const focused = document.activeElement;
  const sorted = [...views.values()].sort((one, other) => order(one.circuit, other.circuit));
  const counts = {};
  const places = Object.fromEntries(SECTIONS.map((section) => [section, []]));
  for (const view of sorted) {
    const look = looks[view.circuit.look];
    counts[look.count] = (counts[look.count] ?? 0) + 1;
    view.item.hidden = !view.circuit.label.toLowerCase().includes(wanted);
    places[look.section].push(view.item);
  }
  for (const section of SECTIONS) {
    const list = at(section).querySelector("ul");
    places[section].forEach((item, place) => {
      if (list.children[place] !== item) list.insertBefore(item, list.children[place] ?? null);
    });
    at(section).hidden = places[section].every((item) => item.hidden);
  }
  // To move an element takes its focus away.
  if (focused instanceof HTMLElement && focused !== document.activeElement) focused.focus({ preventScroll: true });
  count(counts);
  calm(counts, wanted, sorted.some((view) => !view.item.hidden));
  news();
}

function order(one, other) {
  if (one.label === other.label) return one.name < other.name ? -1 : 1;
  return one.label < other.label ? -1 : 1;
}

function count(counts) {
  const shown = COUNTS.filter(([word]) => word !== "unreadable" || counts[word]);
  at("counts").replaceChildren(...shown.map(([word, look]) => {
    const number = counts[word] ?? 0;
    const item = element("li", look, form(look), element("b", "", String(number)), element("span", "", word));
    item.classList.toggle("none", number === 0);
    return item;
  }));
  const open = (counts.open ?? 0) + (counts["half-open"] ?? 0);
  document.title = open > 0 ? `${open} open · ${about.table}` : `${about.table}: none open`;
}

// What is said where nothing is shown.
function calm(counts, wanted, isAny) {
  const open = (counts.open ?? 0) + (counts["half-open"] ?? 0);
  const isHeld = [...views.values()].some((view) => view.circuit.look === "held_open");
  let text = "";
  if (views.size === 0) text = sentence(told?.nothing ?? "");
  else if (wanted !== "" && !isAny) text = `No name has “${wanted}” in it.`;
  else if (wanted === "" && open === 0) text = isHeld ? "Only what operators hold is open." : "No circuit is open.";
  at("calm").hidden = text === "";
  at("calm").textContent = text;
}

function sentence(text) {
  return text === "" ? "" : text[0].toUpperCase() + text.slice(1) + (/[.?]$/.test(text) ? "" : ".");
}

// The last transitions of all circuits.
function news() {
  const every = [...views.values()].flatMap((view) => view.circuit.changes.map((change) => ({ change, circuit: view.circuit })));
  every.sort((one, other) => other.change.at - one.change.at);
  at("news").replaceChildren(...every.slice(0, MOST_NEWS).map(({ change, circuit }) => {
    const time = element("time", "", clock(change.at, now()));
    time.dateTime = new Date(change.at).toISOString();
    return element("li", "", time, element("span", "who", circuit.label), turn(change));
  }));
  at("no-news").hidden = every.length > 0;
}

// How old what is shown is, and whether it can be trusted.
function show() {
  const age = told?.read_at ? (now() - told.read_at) / 1000 : null;
  const fault = told?.fault ?? null;
  const isOld = age !== null && age > Math.max(5, (3 * about.interval) / 1000);
  let text = "";
  if (lostSince !== null) {
    text = `No answer from the dashboard since ${clock(lostSince, now())}. Is it still running?`;
  } else if (fault !== null) {
    text = `The table cannot be read since ${clock(fault.since, now())}: ${fault.why}`;
  } else if (isOld) {
    text = "The table is slow to answer.";
  }
  if (text !== "" && age !== null) text += `${/[.?]$/.test(text) ? "" : "."} What is shown is from ${clock(told.read_at, now())}.`;
  // Told once, and not each second: it is read aloud.
  if (at("fault").textContent !== text) at("fault").textContent = text;
  at("fault").hidden = text === "";
  document.body.classList.toggle("old", text !== "");
  at("age-text").textContent = age === null ? "not read yet" : age < 2 ? "read just now" : `read ${length(age)} ago`;
  const { dry_runs = [], foreign = 0, of_other_prefixes = 0 } = told?.others ?? {};
  const others = [];
  if (dry_runs.length > 0) others.push(`In a dry run, and would be open: ${dry_runs.join(", ")}.`);
  if (of_other_prefixes > 0) others.push(`Circuits of other prefixes: ${of_other_prefixes}.`);
  if (foreign > 0) others.push(`Items of other programs: ${foreign}.`);
  at("others").textContent = others.join(" ");
}

function tick() {
  // A connection may hang without an error: the dashboard is heard every two seconds.
  if (performance.now() - heard > 8000) {
    heard = performance.now();
    lost();
    connect();
  } else if (source.readyState === EventSource.CLOSED) {
    connect();
  }
  if (about === null) return;
  for (const view of views.values()) if (!view.item.hidden) view.tick(now(), about.window);
  show();
}

at("filter").addEventListener("input", place);
document.addEventListener("keydown", (event) => {
  if (event.target instanceof HTMLInputElement) {
    if (event.key === "Escape" && event.target === at("filter")) {
      at("filter").value = "";
      place();
    }
  } else if (event.key === "/" && !event.ctrlKey && !event.metaKey && !document.querySelector("dialog[open]")) {
    event.preventDefault();
    at("filter").focus();
  }
});

connect();
setInterval(tick, 1000);
