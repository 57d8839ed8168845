// Orders: hold a circuit and release it. Only a dashboard that allows them has this.

import { clock } from "/view.js";

const at = (id) => document.getElementById(id);
const dialog = at("order");
const form = at("order-form");
let isRelease = false;
// The hold that the dialog has told of: the order ends it, and no other.
let ends = null;
// The name without an item that the dialog has asked about.
let fresh = null;

const another = document.createElement("button");
another.type = "button";
another.id = "order-another";
another.textContent = "Hold another circuit…";
another.addEventListener("click", () => open(null, "hold", null, "another circuit"));
document.querySelector("footer").append(another);

document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("button[data-order]") : null;
  if (button === null) return;
  const label = button.closest("li").querySelector(".name").textContent;
  open(button.dataset.name, button.dataset.order, JSON.parse(button.dataset.hold), label);
});

function open(name, verb, hold, label) {
  isRelease = verb === "release";
  at("order-head").textContent = isRelease ? `Release ${label}?` : `Hold ${label}`;
  at("order-hold").hidden = isRelease;
  at("order-release").hidden = !isRelease;
  for (const field of at("order-hold").querySelectorAll("input")) field.disabled = isRelease;
  at("order-name").hidden = name !== null;
  form.elements.name.value = name ?? "";
  at("order-go").hidden = false;
  at("order-cancel").textContent = "Cancel";
  fail("");
  offer(hold, null);
  dialog.showModal();
}

// Says what the order ends, or that its circuit has no item, and has the next click mean it.
function offer(hold, name) {
  [ends, fresh] = [hold, name];
  at("order-over").hidden = hold === null;
  at("order-over").textContent = hold === null ? "" : `${told(hold)} This ends that hold.`;
  const word = isRelease ? "Release" : hold === null ? "Hold" : "Replace that hold";
  at("order-go").textContent = name === null ? word : "Hold it all the same";
}

function told({ kind, by, until, reason }) {
  const end = until === null ? "it is released, or a process has probed it" : clock(until * 1000, Date.now());
  return `${by ?? "Somebody"} holds it ${kind} until ${end}${reason === "" ? "" : `: ${reason}`}.`;
}

function fail(error) {
  at("order-error").hidden = error === "";
  at("order-error").textContent = error;
}

at("order-cancel").addEventListener("click", () => dialog.close());

// What was offered, or refused, was of another circuit.
form.elements.name.addEventListener("input", () => {
  offer(null, null);
  fail("");
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const fields = new FormData(form);
  const name = fields.get("name");
  const order = { name, verb: isRelease ? "release" : fields.get("verb"), by: fields.get("by") || null, ends };
  if (!isRelease) Object.assign(order, { lasts: fields.get("lasts"), reason: fields.get("reason"), new: fresh === name });
  at("order-go").disabled = true;
  const answer = await send(order);
  at("order-go").disabled = false;
  const refused = answer.error === undefined ? null : answer;
  fail(refused?.error ?? "");
  if (refused === null) {
    form.elements.reason.value = "";
    if (answer.note === undefined) dialog.close();
    else inform(`Done, but ${answer.note}.`);
  } else {
    offer(refused.ends ?? ends, refused.new ? name : fresh);
  }
});

// Leaves the dialog open with what somebody has to know.
function inform(note) {
  at("order-over").hidden = false;
  at("order-over").textContent = note;
  at("order-go").hidden = true;
  at("order-cancel").textContent = "Close";
}

// Sends an order; what came of it.
async function send(order) {
  try {
    const answer = await fetch("/order", {
      method: "POST",
      headers: { "content-type": "application/json", "x-fuseboard-token": dialog.dataset.token },
      body: JSON.stringify(order),
    });
    return await answer.json();
  } catch {
    return { error: "No answer from the dashboard: look whether it was done." };
  }
}
