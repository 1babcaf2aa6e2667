// The payment as a part of the shop's page: Stripe's own form for one session. What is typed into it stays in frames of
// Stripe's; this page never sees a card.

import { find, locale, say, show, text } from "./page.js";

const panel = find("[data-payment]");
let leave = () => {};
let turn = 0;

const FORMS = { embedded_page: embedded, elements };

// Shows the form for the answered session, and answers whether the customer still wants it when it has come. Throws where
// it can't be had: no script, no key, a session of another account.
export async function takePayment(answer, { asksShipping }) {
  leavePayment();
  const { key, account } = panel.dataset;
  if (!key || typeof window.Stripe !== "function") throw new Error("Stripe.js or the publishable key is missing.");
  const stripe = window.Stripe(key, account ? { stripeAccount: account } : {});
  const time = new Date(answer.expiresAt).toLocaleTimeString(locale, { timeStyle: "short" });
  say(find("[data-until]"), text("until", { time }));
  show(panel); // what is mounted while hidden has no size
  const mine = turn;
  try {
    const left = await FORMS[answer.uiMode](stripe, answer.clientSecret, asksShipping);
    if (mine === turn) leave = left;
    else left();
  } catch (failure) {
    if (mine === turn) leavePayment();
    throw failure;
  }
  if (mine === turn) panel.focus();
  return mine === turn;
}

// Takes the form away; the session stays open, and the next request finds or replaces it.
export function leavePayment() {
  turn += 1;
  leave();
  leave = () => {};
  if (panel) show(panel, false);
}

async function embedded(stripe, clientSecret) {
  const page = await stripe.createEmbeddedCheckoutPage({ fetchClientSecret: async () => clientSecret });
  page.mount(find("[data-embedded]"));
  return () => page.destroy();
}

async function elements(stripe, clientSecret, asksShipping) {
  const checkout = stripe.initCheckoutElementsSdk({ clientSecret });
  const loaded = await checkout.loadActions();
  if (loaded.type === "error") throw new Error(loaded.error.message);
  const { actions } = loaded;
  const asksBilling = panel.hasAttribute("data-asks-billing");
  const mounted = [mount(checkout.createPaymentElement(), "card")];
  if (asksShipping) mounted.push(mount(checkout.createShippingAddressElement(), "shipping-address"));
  if (asksBilling) mounted.push(mount(checkout.createBillingAddressElement(), "billing-address"));
  show(find("[data-shipping-part]"), asksShipping);
  show(find("[data-billing-part]"), asksBilling);

  const form = show(find("[data-elements]"));
  const pay = find("[data-confirm]");
  // Stripe's figure, not ours: an address may have changed the tax since.
  const showTotal = (session) => {
    pay.textContent = text("payAmount", { amount: session.total.total.amount });
  };
  showTotal(actions.getSession());
  checkout.on("change", showTotal);
  form.onsubmit = (event) => {
    event.preventDefault();
    confirm(actions, form, pay);
  };
  return () => {
    form.onsubmit = null;
    mounted.forEach((element) => element.destroy());
    show(form, false);
  };
}

function mount(element, name) {
  element.mount(find(`[data-${name}]`));
  return element;
}

// A success leaves this page for the thank-you page; only failures come back.
async function confirm(actions, form, pay) {
  const error = find("[data-payment-error]");
  say(error, "");
  pay.disabled = true;
  const phone = form.elements.phone?.value.trim();
  if (phone) await actions.updatePhoneNumber(phone);
  const result = await actions.confirm();
  if (result.type === "error") {
    say(error, result.error.message);
    pay.disabled = false;
  }
}
