// The cart's page. Whatever a change does, the page shows what the API answers to it.

import { call } from "./api.js";
import {
  cartPath, find, fromTemplate, lineDetails, money, rentalText, root, say, show, showSums, showUnits, text,
} from "./page.js";

const SETTLE_MS = 350;

const message = find("[data-message]");
let queue = Promise.resolve();
const waiting = new Map();

function render(cart) {
  showUnits(cart);
  cart.notices.forEach(showNotice);
  show(find("[data-loading]"), false);
  show(find("[data-empty]"), cart.lines.length === 0);
  show(find("[data-filled]"), cart.lines.length > 0);
  const focused = document.activeElement?.closest("[data-line]")?.dataset.line;
  const role = document.activeElement?.dataset.focus;
  find("[data-lines]").replaceChildren(...cart.lines.map(renderLine));
  if (focused && role) find(`[data-line="${focused}"] [data-focus="${role}"]`)?.focus();
  showSums(cart);
  const checkout = find("[data-checkout]");
  const blocked = cart.lines.some((line) => !line.purchasable);
  if (blocked) checkout.setAttribute("aria-disabled", "true");
  else checkout.removeAttribute("aria-disabled");
  checkout.classList.toggle("is-off", blocked);
}

// The API says each once, so it stays on the page while the customer goes on.
function showNotice({ code, message: inEnglish, sku, quantity }) {
  const name = code.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
  const words = text(name, { sku, quantity });
  const list = show(find("[data-notices]"));
  list.append(Object.assign(document.createElement("li"), { textContent: words === name ? inEnglish : words }));
}

function renderLine(line) {
  const item = fromTemplate("[data-line-template]");
  item.dataset.line = line.lineId;
  item.classList.toggle("is-off", !line.purchasable);
  find("[data-title]", item).textContent = line.title;
  for (const link of item.querySelectorAll("[data-link]")) {
    if (line.slug) link.href = `${root}products/${encodeURIComponent(line.slug)}`;
  }
  const image = find("[data-image]", item);
  if (line.image) image.src = line.image;
  else image.remove();
  find("[data-details]", item).textContent = details(line);
  say(find("[data-changed]", item), priceChange(line));
  say(find("[data-hint]", item), hint(line));
  find("[data-amount]", item).textContent = line.lineAmount === null ? "" : money(line.lineAmount);
  const quantity = find("[data-quantity]", item);
  quantity.value = String(line.quantity);
  quantity.dataset.focus = "quantity";
  quantity.addEventListener("change", () => setQuantity(line, Number(quantity.value), 0));
  const less = find("[data-less]", item);
  const more = find("[data-more]", item);
  less.dataset.focus = "less";
  more.dataset.focus = "more";
  less.disabled = line.quantity <= 1;
  for (const [button, step] of [[less, -1], [more, 1]]) {
    button.addEventListener("click", () => {
      const wanted = Math.min(999, Math.max(1, Number(quantity.value) + step));
      quantity.value = String(wanted);
      setQuantity(line, wanted, SETTLE_MS);
    });
  }
  find("[data-remove]", item).addEventListener("click", () => {
    clearTimeout(waiting.get(line.lineId));
    change("DELETE", { lineId: line.lineId });
  });
  return item;
}

function details(line) {
  const parts = [lineDetails(line)];
  if (line.rental) parts.push(rentalText(line.rental));
  if (line.unitAmount !== null && line.quantity > 1) parts.push(text("each", { amount: money(line.unitAmount) }));
  if (line.depositAmount) parts.push(text("deposit", { amount: money(line.depositAmount) }));
  return parts.filter(Boolean).join(" · ");
}

function priceChange(line) {
  if (line.previousUnitAmount === null) return "";
  return text("changed", { was: money(line.previousUnitAmount), now: money(line.unitAmount) });
}

function hint(line) {
  if (line.rental?.problem) return text("daysGone");
  if (!line.purchasable) return text("gone");
  if (line.rental && line.available < line.quantity) {
    return line.available > 0 ? text("shortDays", { count: line.available }) : text("taken");
  }
  if (line.available <= 0) return text("soldOut");
  return line.available < line.quantity ? text("short", { count: line.available }) : "";
}

function setQuantity(line, quantity, delay) {
  if (!Number.isInteger(quantity) || quantity < 1 || quantity > 999) {
    say(message, text("badQuantity"));
    return;
  }
  clearTimeout(waiting.get(line.lineId));
  const send = () => change("PATCH", { lineId: line.lineId, quantity });
  waiting.set(line.lineId, setTimeout(send, delay));
}

// One change after the other: answers then arrive in the order of the changes.
function change(method, body) {
  queue = queue.then(async () => {
    say(message, "");
    try {
      render(await call(method, cartPath, body));
    } catch (problem) {
      await load(); // first what is true, then why
      say(message, text(problem.code === "offline" ? "offline" : "failed"));
    }
  });
}

async function load() {
  try {
    render(await call("GET", cartPath));
  } catch (problem) {
    show(find("[data-loading]"), false);
    say(message, text(problem.code === "offline" ? "offline" : "failed"));
  }
}

find("[data-checkout]").addEventListener("click", (event) => {
  if (event.currentTarget.hasAttribute("aria-disabled")) event.preventDefault();
});
// Back from another page, the browser may show this one as it was.
window.addEventListener("pageshow", (event) => event.persisted && load());
load();
