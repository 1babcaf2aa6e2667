// Inside a frame of stripe.js: tells the page around it how tall it is, what was entered, and how the payment went.

const tell = (message) => window.parent.postMessage(message, "*");

new ResizeObserver(() => tell({ type: "height", height: document.documentElement.offsetHeight })).observe(document.body);

const outcome = document.querySelector("[data-outcome]");
if (outcome) {
  const { outcome: type, url, message } = outcome.dataset;
  tell({ type, url: url || null, message: message || null });
}

const form = document.querySelector("form[data-element]");
const entered = () => Object.fromEntries([...new FormData(form)].filter(([, value]) => value.trim()));

if (form) {
  form.addEventListener("submit", (event) => event.preventDefault());
  const tellEntered = () => tell({ type: "change", value: entered() });
  form.addEventListener("input", tellEntered);
  tellEntered(); // somebody may have been faster than this script
  window.addEventListener("message", async ({ source, data }) => {
    if (source !== window.parent || data.type !== "confirm") return;
    const answer = await fetch(form.action, { method: "POST", body: JSON.stringify({ ...data.given, ...entered() }) });
    tell({ type: "confirmed", result: await answer.json() });
  });
}
