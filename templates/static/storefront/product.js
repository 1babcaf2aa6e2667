// The product's page: choosing a variant, its stock as it changes, and the way into the cart.

import { call } from "./api.js";
import { cartPath, day, find, money, say, show, showUnits, text } from "./page.js";

const POLL_MS = 5_000;
const DAY_MS = 86_400_000;

const product = find("[data-product]");
const form = find("[data-form]");
const add = find("[data-add]");
const message = find("[data-message]");
const isRental = Boolean(form.elements.start);

const variants = [...product.querySelectorAll("[data-variant]")].map((item) => ({
  key: item.dataset.key,
  amount: Number(item.dataset.amount),
  image: item.dataset.image,
  available: Number(item.dataset.available),
  state: item.dataset.state,
  attributes: Object.fromEntries([...item.children].map((child) => [child.dataset.name, child.dataset.value])),
}));

function chosenAttributes() {
  const checked = [...form.querySelectorAll("[data-attribute]:checked")];
  return Object.fromEntries(checked.map((input) => [input.dataset.attribute, input.value]));
}

function chosen() {
  const wanted = chosenAttributes();
  return variants.find(({ attributes }) =>
    Object.entries(attributes).every(([name, value]) => wanted[name] === value),
  );
}

// What is wrong with the chosen days, in words; empty where nothing is.
function periodProblem() {
  const { start, end } = form.elements;
  const { minDays, maxDays } = find(".dates").dataset;
  const days = Math.round((end.valueAsNumber - start.valueAsNumber) / DAY_MS) + 1;
  if (!start.value || start.value < start.min || start.value > start.max) {
    return text("badPickup", { earliest: day(start.min), latest: day(start.max) });
  }
  if (!(days >= 1)) return text("badPeriod");
  if (days < Number(minDays)) return text("tooShort", { days: minDays });
  return days > Number(maxDays) ? text("tooLong", { days: maxDays }) : "";
}

// The days' prices by variant, as the shop's server counts them. Only the newest question's answer is shown.
let asked = 0;
let priced = new Map();

async function askPrices() {
  const turn = (asked += 1);
  priced = new Map();
  const { start, end } = form.elements;
  if (periodProblem()) return;
  const query = new URLSearchParams({ sku: product.dataset.sku, start: start.value, end: end.value });
  try {
    const { products } = await call("GET", `/api/catalog?${query}`);
    if (turn !== asked) return;
    priced = new Map(products.flatMap(({ variants: found }) => found.map((item) => [item.variantKey, item])));
    update();
  } catch {
    // The cart tells the price too, before anything is paid.
  }
}

function stockText(variant) {
  if (variant.state === "out") return text(isRental ? "taken" : "out");
  return variant.state === "low" ? text("low", { count: variant.available }) : text("inStock");
}

function update() {
  const variant = chosen();
  const stock = find("[data-stock]");
  add.disabled = !variant || variant.state === "out";
  if (!variant) {
    stock.textContent = text("missing");
    stock.dataset.state = "out";
    return;
  }
  if (stock.textContent !== stockText(variant)) stock.textContent = stockText(variant);
  stock.dataset.state = variant.state;
  const price = find("[data-price]");
  price.textContent = money(variant.amount);
  if (isRental) {
    const unit = document.createElement("small");
    unit.textContent = ` ${text("perDay")}`;
    price.append(unit);
    const found = priced.get(variant.key);
    const days = found?.periodDays;
    const oneDay = days === 1 ? text("oneDay", { amount: money(found.periodAmount) }) : "";
    find("[data-period]").textContent =
      oneDay || (found ? text("period", { days, amount: money(found.periodAmount) }) : periodProblem());
  }
  const image = find("[data-image]");
  if (variant.image && image.getAttribute("src") !== variant.image) image.src = variant.image;
}

let looked = 0;

async function look() {
  const turn = (looked += 1);
  if (document.visibilityState === "visible") {
    try {
      const sku = encodeURIComponent(product.dataset.sku);
      const { start, end } = form.elements;
      const days = isRental && !periodProblem() ? `&start=${start.value}&end=${end.value}` : "";
      const { items } = await call("GET", `/api/inventory/availability?sku=${sku}${days}`);
      if (turn !== looked) return; // other days have been chosen meanwhile
      for (const item of items) {
        const variant = variants.find(({ key }) => key === item.variantKey);
        if (variant) Object.assign(variant, { available: item.available, state: item.state });
      }
      update();
    } catch {
      // The last known stock stays on the page; the cart and the checkout ask again.
    }
  }
}

async function poll() {
  await look();
  setTimeout(poll, POLL_MS);
}

function refuse(words) {
  say(message, words);
  return false;
}

function valid() {
  const quantity = Number(form.elements.quantity.value);
  if (!Number.isInteger(quantity) || quantity < 1 || quantity > 999) return refuse(text("badQuantity"));
  if (isRental && periodProblem()) return refuse(periodProblem());
  return true;
}

async function submit(event) {
  event.preventDefault();
  say(message, "");
  if (!valid() || add.disabled) return;
  add.disabled = true;
  const line = {
    sku: product.dataset.sku,
    quantity: Number(form.elements.quantity.value),
    variantAttributes: chosen().attributes,
  };
  if (isRental) line.rental = { start: form.elements.start.value, end: form.elements.end.value };
  try {
    showUnits(await call("POST", cartPath, line));
    show(find("[data-added]"));
  } catch (problem) {
    const known = { offline: "offline", unknown_sku: "gone", not_purchasable: "gone", invalid_request: "tooMany" };
    const words = text(known[problem.code] ?? "failed");
    say(message, problem.body?.fields?.rental ? text("badDays") : words);
  }
  update();
}

form.addEventListener("change", (event) => {
  if (isRental && event.target === form.elements.start && form.elements.end.value < form.elements.start.value) {
    form.elements.end.value = form.elements.start.value;
  }
  if (isRental) form.elements.end.min = form.elements.start.value;
  if (isRental && ["start", "end"].includes(event.target.name)) {
    askPrices();
    look();
  }
  show(find("[data-added]"), false);
  update();
});
form.addEventListener("submit", submit);
update();
if (isRental) askPrices();
poll();
