// The way to the payment, on Stripe's page or on this one: start the checkout, wait where the shop is busy, explain where
// it can't go on.

import { Problem, call } from "./api.js";
import { RETRY_HEADER, delayBefore, sleep } from "./backoff.js";
import { leavePayment, takePayment } from "./payment.js";
import {
  cartPath, find, fromTemplate, lineTitle, locale, money, rentalText, root, say, show, showDiscount, showSums, showUnits, text,
} from "./page.js";

// Failures that pass by themselves: how often to come back, and what to say meanwhile.
const PASSING = {
  inventory_busy: { tries: 5, firstMs: 250, words: "busy" },
  payment_unknown: { tries: 3, firstMs: 1_000, words: "unknown" },
};

const form = find("[data-form]");
const coupon = form.elements.coupon;
const pay = find("[data-pay]");
const progress = find("[data-progress]");
const problem = find("[data-problem]");
const again = find("[data-again]");
let cart = { lines: [] };
let countdown = 0;

async function load() {
  try {
    cart = await call("GET", cartPath);
  } catch (failure) {
    show(find("[data-loading]"), false);
    show(find("[data-filled]"));
    explain(failure);
    return;
  }
  showUnits(cart);
  show(find("[data-loading]"), false);
  show(find("[data-empty]"), cart.lines.length === 0);
  show(find("[data-filled]"), cart.lines.length > 0);
  showWays();
  find("[data-lines]").replaceChildren(
    ...cart.lines.map((line) => {
      const item = fromTemplate("[data-line-template]");
      const period = line.rental ? `, ${rentalText(line.rental)}` : "";
      find("[data-title]", item).textContent = `${line.quantity} × ${lineTitle(line)}${period}`;
      find("[data-amount]", item).textContent = line.lineAmount === null ? "–" : money(line.lineAmount);
      return item;
    }),
  );
}

const chosenWay = () =>
  (cart.shippingOptions ?? []).find(({ id }) => id === find("[name=shipping]:checked")?.value) ?? null;

// What the shop offers; a choice made before stays made.
function showWays() {
  const ways = cart.shippingOptions ?? [];
  const before = (chosenWay() ?? ways[0])?.id;
  find("[data-ways]").replaceChildren(
    ...ways.map(({ id, name, amount }) => {
      const item = fromTemplate("[data-way-template]");
      const input = find("input", item);
      input.value = id;
      input.checked = id === before;
      find("[data-way]", item).textContent = text(amount ? "way" : "wayFree", { name, amount: money(amount) });
      return item;
    }),
  );
  show(find("[data-shipping]"), ways.length > 0);
  showWay();
}

const countryNames = new Intl.DisplayNames([locale], { type: "region" });

function showWay() {
  const way = chosenWay();
  showSums(cart, way);
  const details = [];
  if (way?.countries.length) {
    details.push(text("goesTo", { countries: way.countries.map((code) => countryNames.of(code)).join(", ") }));
  }
  if (way?.deliveryDays) {
    const { min, max } = way.deliveryDays;
    details.push(text(min === max ? "day" : "days", { min, max }));
  }
  say(find("[data-way-details]"), details.join(" "));
}

// The prices on this page, by SKU; nothing where two variants of a SKU differ, as the cart remembers what it showed.
function expectedLines() {
  const bySku = new Map();
  for (const { sku, unitAmount } of cart.lines) {
    if (unitAmount === null || (bySku.has(sku) && bySku.get(sku) !== unitAmount)) return undefined;
    bySku.set(sku, unitAmount);
  }
  return [...bySku].map(([sku, unitAmount]) => ({ sku, unitAmount }));
}

// Repeats are safe: the same cart and body lead to the same session. Only failures that pass are waited for.
async function start() {
  const body = { email: form.elements.email.value.trim(), locale, expectedLines: expectedLines() };
  const way = chosenWay();
  if (way) body.shippingOptionId = way.id;
  const code = coupon.value.trim();
  if (code) body.couponCode = code;
  for (let attempt = 0, busy = 0; ; attempt += 1) {
    try {
      return await call("POST", "/api/checkout-session", body, busy ? { [RETRY_HEADER]: String(busy) } : {});
    } catch (failure) {
      const passing = PASSING[failure.code];
      if (!passing || attempt >= passing.tries) throw failure;
      busy += failure.code === "inventory_busy" ? 1 : 0;
      say(progress, text(passing.words));
      await sleep(delayBefore(attempt, failure.retryAfterMs ?? passing.firstMs));
    }
  }
}

async function submit(event) {
  event?.preventDefault();
  show(problem, false);
  if (!form.elements.email.value.trim() || !form.elements.email.validity.valid) {
    say(progress, text("badEmail"));
    form.elements.email.setAttribute("aria-invalid", "true");
    form.elements.email.focus();
    return;
  }
  form.elements.email.removeAttribute("aria-invalid");
  refuseCoupon("");
  pay.disabled = true;
  say(progress, text("working"));
  try {
    await follow(await start());
  } catch (failure) {
    explain(failure instanceof Problem ? failure : new Problem("unreadable"));
  }
}

async function follow(answer) {
  showDiscount(answer.amounts);
  if (answer.priceChanged && answer.url) {
    announcePrice(answer, answer.url);
  } else if (answer.url) {
    const { discount } = answer.amounts;
    say(progress, [discount > 0 && text("discounted", { amount: money(discount) }), text("redirecting")].filter(Boolean).join(" "));
    location.assign(answer.url);
  } else if (answer.clientSecret) {
    await payHere(answer);
  } else {
    location.assign(statusPath(answer)); // this cart is an order already
  }
}

function announcePrice(answer, onward) {
  announce("price", { items: answer.changes.map(priceItem), onward });
  find("[data-problem-text]").textContent += ` ${text("priceTotal", { amount: money(answer.amounts.total) })}`;
}

// The payment as a part of this page. What was entered stays, behind "Change e-mail or shipping".
async function payHere(answer) {
  release();
  show(form, false); // first, so that whoever changes their mind at once is heard
  try {
    if (!(await takePayment(answer, { asksShipping: Boolean(chosenWay()?.countries.length) }))) return;
  } catch (failure) {
    console.warn(failure);
    show(form);
    announce("form", { retry: "again" });
    return;
  }
  if (answer.priceChanged) {
    announcePrice(answer, "");
    await load(); // the summary's prices are the older ones
    showDiscount(answer.amounts);
  }
}

function reconsider() {
  leavePayment();
  show(problem, false);
  show(form);
  showWay();
  release();
  form.elements.email.focus();
}

const statusPath = (answer) => `${root}thank-you?session_id=${encodeURIComponent(answer.sessionId)}`;

function titleOf(item) {
  const byKey = cart.lines.find((line) => line.variantKey === item.variantKey);
  const line = byKey ?? cart.lines.find(({ sku }) => sku === item.sku);
  return line ? lineTitle(line) : item.sku;
}

const priceItem = (item) =>
  item.was == null
    ? `${titleOf(item)}: ${money(item.now)}`
    : text("priceItem", { title: titleOf(item), was: money(item.was), now: money(item.now) });

const shortItem = (item) => text("shortItem", { ...item, title: titleOf(item) });

function takenItem(item) {
  const { start, end } = item.rental;
  const days = Math.round((Date.parse(end) - Date.parse(start)) / 86_400_000) + 1;
  return text("takenItem", { ...item, title: `${titleOf(item)}, ${rentalText({ start, end, days })}` });
}

// Problem code → what the page says: the family of its texts, and what beyond title and text it shows.
const EXPLANATIONS = {
  inventory_busy: () => ({ name: "busy", retry: "again" }),
  inventory_insufficient: ({ items = [] }) => ({ name: "short", items: items.map(shortItem) }),
  rental_unavailable: ({ items = [] }) => ({ name: "taken", items: items.map(takenItem) }),
  PRICE_CHANGED: ({ items = [] }) => ({ name: "price", items: items.map(priceItem), retry: "accept" }),
  payment_unknown: () => ({ name: "unknown", retry: "again" }),
  payment_rejected: () => ({ name: "rejected", retry: "again" }),
  inventory_unavailable: () => ({ name: "away", retry: "again" }),
  unknown_sku: ({ items = [] }) => ({ name: "gone", items: items.map(titleOf) }),
  not_purchasable: ({ items = [] }) => ({ name: items.some(({ reason }) => reason) ? "days" : "gone", items: items.map(titleOf) }),
  amount_too_small: ({ minimum }) => ({ name: "small", blanks: { amount: money(minimum) } }),
  shop_expired: () => ({ name: "closed" }),
};

function explain(failure) {
  if (failure.code === "rate_limited") {
    waitOut(failure.retryAfterMs ?? 60_000);
    return;
  }
  if (failure.code === "coupon_rejected") {
    release();
    refuseCoupon(`coupon${(failure.body.reason ?? "unknown").replace(/^./, (first) => first.toUpperCase())}`);
    coupon.focus();
    return;
  }
  if (failure.code === "invalid_request" && failure.body.fields?.email) {
    release();
    say(progress, text("badEmail"));
    form.elements.email.focus();
    return;
  }
  if (failure.code === "invalid_request" && failure.body.fields?.shippingOptionId) load(); // the shop ships otherwise by now
  const explanation = EXPLANATIONS[failure.code]?.(failure.body) ?? { name: "failed", retry: "again" };
  announce(explanation.name, explanation);
  if (failure.code === "offline") find("[data-problem-text]").textContent = text("offline");
  const id = failure.body.requestId;
  say(find("[data-problem-id]"), explanation.name === "failed" && id ? text("requestId", { id }) : "");
  if (failure.code === "PRICE_CHANGED") load(); // shows the new prices, which are then the ones agreed to
}

function announce(name, { items = [], retry = "", blanks = {}, onward = "" } = {}) {
  release();
  show(pay, !retry && !onward);
  find("[data-problem-title]").textContent = text(`${name}Title`);
  find("[data-problem-text]").textContent = text(`${name}Text`, blanks);
  find("[data-problem-items]").replaceChildren(
    ...items.map((words) => Object.assign(document.createElement("li"), { textContent: words })),
  );
  say(again, retry && text(retry));
  const link = show(find("[data-onward]"), Boolean(onward));
  if (onward) link.href = onward;
  say(find("[data-problem-id]"), "");
  show(problem).focus();
}

function waitOut(milliseconds) {
  announce("limited", { blanks: { seconds: Math.ceil(milliseconds / 1000) } });
  const until = Date.now() + milliseconds;
  pay.disabled = true;
  clearInterval(countdown);
  countdown = setInterval(() => {
    const seconds = Math.ceil((until - Date.now()) / 1000);
    find("[data-problem-text]").textContent = seconds > 0 ? text("limitedText", { seconds }) : text("limitedOver");
    if (seconds <= 0) {
      clearInterval(countdown);
      pay.disabled = false;
    }
  }, 1_000);
}

// What is wrong with the coupon, at its field; nothing takes it away.
function refuseCoupon(words) {
  say(find("[data-coupon-message]"), words && text(words));
  if (words) coupon.setAttribute("aria-invalid", "true");
  else coupon.removeAttribute("aria-invalid");
}

function release() {
  pay.disabled = false;
  show(pay);
  say(progress, "");
}

form.addEventListener("submit", submit);
coupon.addEventListener("input", () => refuseCoupon(""));
find("[data-ways]").addEventListener("change", showWay);
again.addEventListener("click", () => submit());
find("[data-change]")?.addEventListener("click", reconsider);
// Back from the payment page, the browser may show this one as it was left.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) {
    show(problem, false);
    release();
    load();
  }
});
load();
