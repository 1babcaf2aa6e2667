// What the pages' scripts share: the frame's data, texts with blanks, the cart's badge.

import { formatter } from "./money.js";

export const main = document.getElementById("content");
export const locale = main.dataset.locale;
export const currency = main.dataset.currency;
export const root = main.dataset.root;
export const money = formatter({ locale, currency, exponent: Number(main.dataset.exponent) });
export const cartPath = `/api/cart?locale=${encodeURIComponent(locale)}`;

const texts = main.querySelector("[data-texts]")?.dataset ?? {};

export function text(name, blanks = {}) {
  return (texts[name] ?? name).replace(/\{(\w+)\}/g, (whole, blank) => String(blanks[blank] ?? whole));
}

export const find = (selector, inside = main) => inside.querySelector(selector);

export function show(element, visible = true) {
  element.hidden = !visible;
  return element;
}

// Sets a text and shows the element, or hides it when there is none.
export function say(element, words) {
  element.textContent = words ?? "";
  return show(element, Boolean(words));
}

export function fromTemplate(selector) {
  return find(selector).content.firstElementChild.cloneNode(true);
}

export function showUnits(cart) {
  const units = cart.lines.reduce((sum, line) => sum + line.quantity, 0);
  document.querySelector("[data-cart-units]").textContent = String(units);
  show(document.querySelector("[data-cart-badge]"), units > 0);
}

export function lineTitle(line) {
  const details = lineDetails(line);
  return details ? `${line.title} (${details})` : line.title;
}

const words = new Map([...main.querySelectorAll("[data-word]")].map((item) => [item.dataset.word, item.textContent]));

export function lineDetails(line) {
  const values = Object.values(line.attributes).map((value) => words.get(value) ?? value);
  return [...values, ...Object.values(line.options)].join(", ");
}

// What is only held on the card later is no part of the total.
const chargedDeposit = (cart) => (cart.depositMode === "authorised" ? 0 : cart.depositAmount);

// Puts subtotal, deposits, what the chosen way to ship costs, and the total of a cart into the summary on the page.
export function showSums(cart, way) {
  find("[data-subtotal]").textContent = money(cart.subtotalAmount);
  find("[data-deposit]").textContent = money(cart.depositAmount);
  find("[data-total]").textContent = money(cart.subtotalAmount + chargedDeposit(cart) + (way?.amount ?? 0));
  if (way) find("[data-shipping-amount]").textContent = money(way.amount);
  show(find("[data-shipping-row]"), Boolean(way));
  show(find("[data-discount-row]"), false);
  show(find("[data-deposit-row]"), cart.depositAmount > 0);
}

// What a coupon takes off is the server's to say: with the total, from the amounts of its answer.
export function showDiscount({ discount, total }) {
  show(find("[data-discount-row]"), discount > 0);
  find("[data-discount]").textContent = money(-discount);
  find("[data-total]").textContent = money(total);
}

const days = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeZone: "UTC" });

export const day = (iso) => days.format(new Date(`${iso}T00:00:00Z`));

// A rental's days, in the words of a page that has texts for them.
export function rentalText({ start, end, days: count }) {
  if (start === end) return text("oneDay", { start: day(start) });
  return text("period", { start: day(start), end: day(end), days: count });
}
