// From a plan to its payment, on Stripe's page or on this one. What a plan costs is the server's to say.

import { call } from "./api.js";
import { leavePayment, takePayment } from "./payment.js";
import { find, locale, root, say, show, text } from "./page.js";

const form = find("[data-form]");
const pay = find("[data-pay]");
const progress = find("[data-progress]");

// Problem code → what the page says.
const WORDS = {
  wrong_state: "wrongState",
  rate_limited: "rateLimited",
  payment_unknown: "unknown",
  payment_rejected: "rejected",
  offline: "offline",
};

async function submit(event) {
  event.preventDefault();
  if (!form.elements.email.checkValidity()) {
    say(progress, text("badEmail"));
    form.elements.email.focus();
    return;
  }
  pay.disabled = true;
  say(progress, text("working"));
  try {
    await onward(
      await call("POST", "/api/subscribe", {
        planId: form.elements.plan.value,
        email: form.elements.email.value.trim(),
        locale,
      }),
    );
  } catch (failure) {
    explain(failure);
  }
}

async function onward(answer) {
  if (answer.url) {
    say(progress, text("redirecting"));
    location.assign(answer.url);
    return;
  }
  if (!answer.clientSecret) {
    location.assign(`${root}thank-you?session_id=${encodeURIComponent(answer.sessionId)}`);
    return;
  }
  release();
  show(form, false);
  try {
    await takePayment(answer, { asksShipping: false });
  } catch (failure) {
    console.warn(failure);
    show(form);
    say(progress, text("failed"));
  }
}

function explain(failure) {
  const fields = failure.body?.fields ?? {};
  const words = fields.email ? "badEmail" : fields.planId ? "gone" : (WORDS[failure.code] ?? "failed");
  release();
  say(progress, text(words));
}

function release() {
  pay.disabled = false;
  say(progress, "");
}

form.addEventListener("submit", submit);
find("[data-change]")?.addEventListener("click", () => {
  leavePayment();
  show(form);
  release();
});
// Back from the payment page, the browser may show this one as it was left.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) release();
});
