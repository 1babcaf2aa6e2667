// "Processing…", then what became of the order. The payment counts when the server has it, not when this page opens.

import { call } from "./api.js";
import { sleep } from "./backoff.js";
import {
  cartPath, day, find, fromTemplate, locale, money, rentalText, say, show, showUnits, text,
} from "./page.js";

const DEFAULT_MS = 2_000;
const PATIENCE_MS = 60_000;
const SLOW_MS = 10_000;

const order = find("[data-order]");
const sessionId = new URLSearchParams(location.search).get("session_id") ?? "";
const began = Date.now();

function showState(state, { lead = `${state}Lead` } = {}) {
  if (order.dataset.state === state && lead === `${state}Lead`) return;
  order.dataset.state = state;
  const title = find("[data-title]");
  if (title.textContent !== text(state)) title.textContent = text(state);
  find("[data-lead]").textContent = text(lead);
}

// One look at the order. Milliseconds until the next, or null when there is nothing more to learn.
async function look() {
  let answer;
  try {
    answer = await call("GET", `/api/order-status?session_id=${encodeURIComponent(sessionId)}`);
  } catch (problem) {
    if (problem.status === 404 || problem.status === 400) {
      showState("unknown");
      return null;
    }
    return problem.retryAfterMs ?? DEFAULT_MS * 2;
  }
  showState(answer.status);
  if (!answer.finalised) return answer.retryAfterMs ?? DEFAULT_MS;
  if (answer.number) say(find("[data-number]"), text("number", { number: answer.number }));
  await Promise.all([showReceipt(answer.status), refreshBadge()]);
  return null;
}

async function follow() {
  if (!sessionId) {
    showState("unknown");
    return;
  }
  for (;;) {
    const wait = await look();
    if (wait === null) return;
    const late = Date.now() - began > PATIENCE_MS;
    if (late) find("[data-lead]").textContent = text("slowLead");
    await sleep(late ? Math.max(wait, SLOW_MS) : wait);
  }
}

async function showReceipt(status) {
  if (!["confirmed", "review", "refunded"].includes(status)) return;
  try {
    const summary = await call("GET", `/api/checkout-session/${encodeURIComponent(sessionId)}?locale=${encodeURIComponent(locale)}`);
    if (summary.mode === "subscription") find("[data-lead]").textContent = text("subscribedLead");
    find("[data-lines]").replaceChildren(
      ...summary.lines.map((line) => {
        const item = fromTemplate("[data-line-template]");
        const period = line.rental ? `, ${rentalText(line.rental)}` : "";
        find("[data-title]", item).textContent = `${line.quantity} × ${line.title}${period}`;
        find("[data-amount]", item).textContent = money(line.lineAmount);
        return item;
      }),
    );
    showDays(summary.lines.map((line) => line.rental).filter(Boolean));
    show(find("[data-deposits]"), summary.amounts.deposit > 0);
    for (const row of document.querySelectorAll("[data-row]")) {
      const amount = summary.amounts[row.dataset.row] ?? 0;
      show(row, amount > 0 || row.dataset.row === "total");
      find("dd", row).textContent = row.dataset.row === "discount" ? money(-amount) : money(amount);
    }
    show(find("[data-receipt]"));
  } catch {
    // The order stands without its summary on this page.
  }
}

// When all of it is for the same days, they are said once and plainly; the lines have theirs in any case.
function showDays(rentals) {
  const [first] = rentals;
  if (!first || rentals.some(({ start, end }) => start !== first.start || end !== first.end)) return;
  const words = first.start === first.end ? "oneDayOnly" : "days";
  say(find("[data-days-line]"), text(words, { start: day(first.start), end: day(first.end) }));
}

async function refreshBadge() {
  try {
    showUnits(await call("GET", cartPath));
  } catch {
    // The badge is a hint.
  }
}

follow();
