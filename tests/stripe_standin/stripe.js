// What js.stripe.com/endive/stripe.js is to Stripe: the part of it that a shop's own payment page uses. Names, results and
// the rule about the total are Stripe's; what is behind them are frames of the stand-in.
// Sources: Stripe.js reference, "Embedded Checkout" and "Checkout Elements SDK".

(() => {
  const origin = new URL(document.currentScript.src).origin;

  class Frame {
    // One iframe of the stand-in. `hear` gets what it says; its height follows its content. What it is told before its
    // script runs waits for that.
    constructor(address, hear) {
      let begin;
      this.listening = new Promise((resolve) => (begin = resolve));
      this.node = Object.assign(document.createElement("iframe"), { src: address, title: "Secure payment input frame" });
      this.listener = ({ origin: from, source, data }) => {
        if (from !== origin || source !== this.node.contentWindow) return;
        begin();
        if (data.type === "height") this.node.style.height = `${data.height}px`;
        else hear(data);
      };
      window.addEventListener("message", this.listener);
    }

    async say(message) {
      await this.listening;
      this.node.contentWindow.postMessage(message, origin);
    }

    destroy() {
      window.removeEventListener("message", this.listener);
      this.node.remove();
    }
  }

  const place = (target) => {
    const found = typeof target === "string" ? document.querySelector(target) : target;
    if (!found) throw new Error(`IntegrationError: there is no ${target} to mount on.`);
    return found;
  };

  const addressOf = (secret, part) => `${origin}/c/frame/${encodeURIComponent(secret)}/${part}`;

  async function read(secret, { key, account }) {
    const query = new URLSearchParams({ key, account });
    const answer = await fetch(`${addressOf(secret, "session")}?${query}`);
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.error.message);
    return body;
  }

  function leaveTo(url) {
    if (url) window.location.assign(url);
  }

  // ---------------------------------------------------------------- the whole page, embedded
  async function createEmbeddedCheckoutPage(asked, { fetchClientSecret, clientSecret, onComplete }) {
    const secret = clientSecret ?? (await fetchClientSecret());
    const session = await read(secret, asked);
    if (session.uiMode !== "embedded_page") throw new Error(`This session has the ui_mode ${session.uiMode}.`);
    const frame = new Frame(addressOf(secret, "embedded"), ({ type, url }) => {
      if (type !== "complete") return;
      if (session.redirectOnCompletion === "always") leaveTo(url);
      else onComplete?.();
    });
    return {
      mount: (target) => place(target).append(frame.node),
      unmount: () => frame.node.remove(),
      destroy: () => frame.destroy(),
    };
  }

  // ---------------------------------------------------------------- single elements
  function initCheckoutElementsSdk(asked, { clientSecret }) {
    const listeners = [];
    const given = { email: null, phone: null, shipping: null, billing: null };
    let payment = null;
    let session = null;
    let totalWasRead = false;
    let settle = null;

    const secret = Promise.resolve(clientSecret);
    const loading = secret.then((value) => read(value, asked));

    // A session as pages read it. Whoever confirms without having looked at the total has not shown it.
    function shown() {
      const total = { ...session.total };
      const figures = total.total;
      Object.defineProperty(total, "total", {
        enumerable: true,
        get() {
          totalWasRead = true;
          return figures;
        },
      });
      return { ...session, total, email: given.email ?? session.email };
    }

    function element(part) {
      let frame = null;
      return {
        mount(target) {
          const where = place(target);
          secret.then((value) => {
            frame = new Frame(addressOf(value, part), (message) => hear(part, message));
            if (part === "payment") payment = frame;
            where.append(frame.node);
          });
        },
        unmount: () => frame?.node.remove(),
        destroy: () => frame?.destroy(),
      };
    }

    // An address may add tax: the session is told, and whoever shows the total hears of it.
    async function locate() {
      const answer = await fetch(addressOf(await secret, "address"), { method: "POST", body: "{}" });
      if (!answer.ok) return;
      session = await answer.json();
      changed();
    }

    function hear(part, message) {
      if (message.type === "change") {
        given[part] = message.value;
        if (part !== "payment" && message.value.line1) locate();
      }
      if (message.type === "confirmed") settle?.(message.result);
    }

    async function challenged() {
      const value = await secret;
      return new Promise((resolve) => {
        const overlay = document.createElement("dialog");
        const frame = new Frame(addressOf(value, "challenge"), (message) => {
          if (message.type !== "complete" && message.type !== "failed") return;
          frame.destroy();
          overlay.remove();
          resolve(
            message.type === "complete"
              ? { state: "complete", url: message.url }
              : { state: "declined", message: message.message },
          );
        });
        overlay.append(frame.node);
        document.body.append(overlay);
        overlay.showModal();
      });
    }

    async function confirm({ returnUrl, redirect = "always", email } = {}) {
      if (!totalWasRead) throw new Error("IntegrationError: read session.total.total.amount and show it first.");
      if (!payment) throw new Error("IntegrationError: mount a Payment Element first.");
      if (email) given.email = email;
      let result = await new Promise((resolve) => {
        settle = resolve;
        payment.say({ type: "confirm", given });
      });
      if (result.state === "challenge") result = await challenged();
      if (result.state !== "complete") return { type: "error", error: { message: result.message, code: null } };
      if (redirect === "always") {
        leaveTo(returnUrl ?? result.url);
        return new Promise(() => {}); // the page is about to go
      }
      return { type: "success", session: { ...shown(), status: { type: "complete" } } };
    }

    const changed = () => listeners.forEach((listener) => listener(shown()));
    const actions = {
      getSession: shown,
      confirm,
      async updateEmail(email) {
        given.email = email;
        changed();
        return { type: "success", session: shown() };
      },
      async updatePhoneNumber(phone) {
        given.phone = phone;
        changed();
        return { type: "success", session: shown() };
      },
    };

    return {
      createPaymentElement: () => element("payment"),
      createShippingAddressElement: () => element("shipping"),
      createBillingAddressElement: () => element("billing"),
      on: (name, listener) => name === "change" && listeners.push(listener),
      async loadActions() {
        try {
          session = await loading;
        } catch (failure) {
          return { type: "error", error: { message: failure.message } };
        }
        if (session.uiMode !== "elements") {
          return { type: "error", error: { message: `This session has the ui_mode ${session.uiMode}.` } };
        }
        return { type: "success", actions };
      },
    };
  }

  window.Stripe = (key, { stripeAccount = "" } = {}) => {
    if (!/^pk_test_/.test(key ?? "")) throw new Error("IntegrationError: call Stripe() with a publishable key.");
    const asked = { key, account: stripeAccount };
    return {
      createEmbeddedCheckoutPage: (options) => createEmbeddedCheckoutPage(asked, options),
      initCheckoutElementsSdk: (options) => initCheckoutElementsSdk(asked, options),
    };
  };
})();
