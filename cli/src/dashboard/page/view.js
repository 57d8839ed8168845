// One circuit on the page. Whatever comes from the table is set as text, never as HTML.

export const looks = {
  open: { word: "OPEN", section: "down", count: "open" },
  half_open: { word: "HALF-OPEN", section: "down", count: "half-open" },
  held_open: { word: "HELD OPEN", section: "held", count: "held" },
  held_closed: { word: "HELD CLOSED", section: "held", count: "held" },
  unreadable: { word: "UNREADABLE", section: "broken", count: "unreadable" },
  closed: { word: "CLOSED", section: "well", count: "closed" },
};

// How many transitions are shown of a circuit that is not expanded.
const FEW = 3;
const SVG = "http://www.w3.org/2000/svg";
const canChange = document.getElementById("order") !== null;
let ids = 0;

export function element(tag, name, ...children) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.append(...children);
  return made;
}

export function form(look) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "form");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#${look}`);
  svg.append(use);
  return svg;
}

// A length of time in its two largest units.
export function length(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [minute, hour, day] = [60, 3600, 86400];
  const two = (large, unit, small, smaller) => (small ? `${large} ${unit} ${small} ${smaller}` : `${large} ${unit}`);
  if (whole < minute) return `${whole} s`;
  if (whole < hour) return two(Math.floor(whole / minute), "min", whole % minute, "s");
  if (whole < day) return two(Math.floor(whole / hour), "h", Math.floor((whole % hour) / minute), "min");
  return two(Math.floor(whole / day), "d", Math.floor((whole % day) / hour), "h");
}

// A time of the viewer's day; with its date if it is another day.
export function clock(ms, now) {
  const at = new Date(ms);
  if (Number.isNaN(at.getTime())) return "?";
  const time = at.toLocaleTimeString("en-GB");
  if (at.toDateString() === new Date(now).toDateString()) return time;
  return `${at.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" })} ${time}`;
}

function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export class View {
  constructor() {
    const body = `circuit-${++ids}`;
    this.item = element("li", "circuit");
    this.glyph = form("closed");
    this.name = element("button", "name");
    this.name.type = "button";
    this.name.setAttribute("aria-expanded", "false");
    this.name.setAttribute("aria-controls", body);
    this.word = element("span", "word");
    this.since = element("span", "since");
    this.until = element("span", "until");
    this.why = element("p", "why");
    this.band = element("div", "band");
    this.strip = element("div", "strip", this.band);
    this.strip.setAttribute("role", "img");
    this.changes = element("ol", "changes");
    const texts = element("div", "body", element("p", "times", this.since, this.until), this.why);
    texts.id = body;
    const scale = element("p", "scale", element("span", "", ""), element("span", "", "now"));
    scale.setAttribute("aria-hidden", "true");
    this.scale = scale.firstChild;
    const rest = element("div", "rest", scale, this.changes);
    if (canChange) rest.append(this.orders());
    const head = element("div", "head", this.glyph, element("h3", "", this.name), this.word);
    this.item.append(head, texts, this.strip, rest);
    this.name.addEventListener("click", () => this.expand(this.name.getAttribute("aria-expanded") !== "true"));
  }

  orders() {
    this.hold = element("button", "", "Hold…");
    this.release = element("button", "", "Release…");
    for (const [button, verb] of [[this.hold, "hold"], [this.release, "release"]]) {
      button.type = "button";
      button.dataset.order = verb;
    }
    return element("p", "orders", this.hold, this.release);
  }

  expand(isOpen) {
    this.name.setAttribute("aria-expanded", String(isOpen));
    this.item.classList.toggle("expanded", isOpen);
    this.list();
  }

  // Takes in what is known of the circuit now.
  update(circuit, now, span) {
    this.circuit = circuit;
    const look = looks[circuit.look];
    this.item.dataset.look = circuit.look;
    this.item.dataset.name = circuit.name;
    this.glyph.firstChild.setAttribute("href", `#${circuit.look}`);
    set(this.name, circuit.label);
    set(this.word, look.word);
    this.why.title = circuit.prober ?? "";
    this.scale.textContent = `${Math.round(span / 60000)} min ago`;
    if (canChange) {
      this.release.hidden = circuit.look === "closed";
      for (const button of [this.hold, this.release]) {
        button.dataset.name = circuit.name;
        button.dataset.hold = JSON.stringify(circuit.hold);
        button.setAttribute("aria-label", `${button.textContent} ${circuit.label}`);
      }
    }
    this.list(now);
    this.draw(now, span);
    this.tick(now, span);
  }

  list(now = Date.now()) {
    const few = this.item.classList.contains("expanded") ? Infinity : FEW;
    this.changes.replaceChildren(...this.circuit.changes.slice(0, few).map((change) => {
      const time = element("time", "", clock(change.at, now));
      time.dateTime = new Date(change.at).toISOString();
      return element("li", "", time, " ", turn(change), element("span", "reason", change.why ? `, ${change.why}` : ""));
    }));
  }

  // Draws the strip: a state a block, whose height tells the state as its colour does.
  draw(now, span) {
    this.drawn = now;
    const past = this.circuit.past.map(([from, look], place, all) => ({ from, look, next: all[place + 1]?.[0] }));
    const seen = past.filter(({ next }) => next === undefined || next > now - span);
    this.band.replaceChildren(...seen.map(({ from, look, next }) => {
      const block = element("span", look);
      const begins = Math.max(from, now - span);
      block.style.left = `${(100 * (begins - now)) / span + 100}%`;
      // The last one goes on until it is drawn again.
      block.style.width = next === undefined ? "1000%" : `${(100 * (next - begins)) / span}%`;
      return block;
    }));
    const turns = this.circuit.changes.length;
    const told = turns === 0 ? "no change seen" : `${turns === 8 ? "8 or more" : turns} changes seen`;
    this.strip.setAttribute("aria-label", `the last ${Math.round(span / 60000)} minutes: ${told}`);
  }

  // Brings what depends on the time up to date.
  tick(now, span) {
    const { since, until, look, why, ended } = this.circuit;
    set(this.since, since === null ? "" : `since ${clock(since * 1000, now)}, for ${length(now / 1000 - since)}`);
    set(this.until, until === null ? "" : ending(look, until, now));
    set(this.why, ended === null ? why : `${why} ${ago(ended, now)}`);
    if (now - this.drawn > span) this.draw(now, span);
    this.band.style.transform = `translateX(${(-100 * (now - this.drawn)) / span}%)`;
  }
}

// What ends, or is due, and when. Nothing probes without a call.
function ending(look, until, now) {
  const left = until - now / 1000;
  const [at, rest] = [clock(until * 1000, now), length(Math.ceil(left))];
  if (look === "open") return left <= 0 ? "a probe is due: the next call probes" : `a probe is due at ${at}, in ${rest}`;
  if (look === "half_open") return left <= 0 ? "the next call probes" : `the probe's lease ends ${at}, ${rest} left`;
  return left <= 0 ? "until now" : `until ${at}, ${rest} left`;
}

function ago(ended, now) {
  return `${length(now / 1000 - ended)} ago, at ${clock(ended * 1000, now)}`;
}

// A transition: two words and an arrow.
export function turn(change) {
  const word = (look) => element("b", look, looks[look]?.word.toLowerCase() ?? look);
  if (change.from === change.to) return element("span", "turn", word(change.to), " again");
  return element("span", "turn", word(change.from), " → ", word(change.to));
}
