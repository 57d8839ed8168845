// Orders: hold a circuit and release it. Only a dashboard that allows them has this.

const at = (id) => document.getElementById(id);
const dialog = at("order");
const form = at("order-form");
let circuit = "";
let isRelease = false;

document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("button[data-order]") : null;
  if (button === null) return;
  circuit = button.dataset.name;
  isRelease = button.dataset.order === "release";
  const label = button.closest("li").querySelector(".name").textContent;
  at("order-head").textContent = isRelease ? `Release ${label}?` : `Hold ${label}`;
  at("order-go").textContent = isRelease ? "Release" : "Hold";
  at("order-hold").hidden = isRelease;
  at("order-release").hidden = !isRelease;
  for (const field of at("order-hold").querySelectorAll("input")) field.disabled = isRelease;
  at("order-error").hidden = true;
  dialog.showModal();
});

at("order-cancel").addEventListener("click", () => dialog.close());

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const fields = new FormData(form);
  const hold = () => ({
    verb: fields.get("verb"),
    lasts: fields.get("lasts"),
    reason: fields.get("reason"),
    by: fields.get("by") || null,
  });
  const order = { name: circuit, ...(isRelease ? { verb: "release" } : hold()) };
  at("order-go").disabled = true;
  const error = await send(order);
  at("order-go").disabled = false;
  at("order-error").hidden = error === null;
  at("order-error").textContent = error ?? "";
  if (error === null) {
    form.elements.reason.value = "";
    dialog.close();
  }
});

// Sends an order; a text if it was not carried out.
async function send(order) {
  try {
    const answer = await fetch("/order", {
      method: "POST",
      headers: { "content-type": "application/json", "x-fuseboard-token": dialog.dataset.token },
      body: JSON.stringify(order),
    });
    if (answer.ok) return null;
    const { error } = await answer.json();
    return error;
  } catch {
    return "No answer from the dashboard: look whether it was done.";
  }
}
