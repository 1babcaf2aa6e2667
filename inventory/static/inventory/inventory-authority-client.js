// The inventory authority, asked over HTTP: for edge workers and for browsers. One module, no dependencies, no build
// step. It behaves as the Python client in inventory/client does, and the same faults are tried on both;
// docs/clients.md tells how to use it.

/**
 * @typedef {{sku: string, quantity: number, variantAttributes?: Record<string, string>}} Item
 * @typedef {{sku: string, variantKey: string, requested: number, available: number}} Checked
 * @typedef {{ok: true, items: Checked[]} | {ok: false, insufficient: Checked[]}} Validation
 * @typedef {{sku: string, variantKey: string, quantity: number}} HeldLine
 * @typedef {{holdId: string, status: "active"|"committed"|"released"|"expired", expiresAt: string, items: HeldLine[],
 *   idempotentHit: boolean}} RemoteHold
 * @typedef {{sku: string, variantKey: string, available: number, state: "in_stock"|"low"|"out"}} Available
 * @typedef {object} Options
 * @property {string} url The authority's origin, and path if it has one; "" in a page asks the page's own host.
 * @property {string} [token] A service token. Never in a browser: whoever reads the page would have it.
 * @property {number} [timeoutMs] For a whole call, waits between its tries included; 5,000 unless given.
 * @property {string} [shopId] With a token of the platform; answers about another shop are then errors.
 * @property {number} [tries] Repeats while the stock is busy.
 * @property {typeof fetch} [fetch]
 * @property {() => number} [random] From 0 up to 1.
 * @property {(verb: string, retries: number) => void} [onRetrySuccess]
 */

export const CAP_MS = 5_000;
export const FIRST_MS = 250;
export const TRIES = 5;
export const TIMEOUT_MS = 5_000;
export const RETRY_HEADER = "X-Busy-Retry";
const MOST_BYTES = 1024 * 1024;

/** @param {number} milliseconds */
export const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/**
 * Milliseconds before retry number `retry`, 0 being the first: 0.5 to 1.5 times a doubling base that begins with what
 * the authority said and never exceeds `cap`. Jitter, so that the many who were refused together don't return together.
 *
 * @param {number} retry
 * @param {number} firstMs
 * @param {{cap?: number, random?: () => number}} [options]
 * @returns {number}
 */
export function delayBefore(retry, firstMs, { cap = CAP_MS, random = Math.random } = {}) {
  const base = Math.min(cap, firstMs * 2 ** Math.min(retry, 32));
  return Math.floor(base * (0.5 + random()) + 0.5);
}

/** `code` and `status` are the contract's; `retryAfterMs`, `insufficient` and `idempotencyKey` where they apply. */
export class AuthorityError extends Error {
  /** @param {string} detail @param {Record<string, unknown>} [members] */
  constructor(detail, members = {}) {
    super(detail);
    this.name = new.target.name;
    this.code = "service_unavailable";
    this.status = 503;
    /** @type {number | null} */
    this.retryAfterMs = null;
    this.requestId = "";
    /** @type {string | null} */
    this.idempotencyKey = null;
    Object.assign(this, new.target.defaults, members);
  }
}
/** Out of reach, broken, or it said what no authority says. Nothing is known about what it did. */
export class AuthorityUnavailable extends AuthorityError {}
/** The deadline passed without a whole answer. Nothing is known about what it did. */
export class AuthorityTimeout extends AuthorityUnavailable {
  static defaults = { code: "inventory_timeout", status: 504 };
}
/** The token is missing, unknown, revoked, of another shop or without the scope. */
export class AuthorityDenied extends AuthorityError {
  static defaults = { code: "unauthenticated", status: 401 };
}
/** `inventory_busy` after the last try, or `rate_limited` at the first. Nothing was done. */
export class AuthorityBusy extends AuthorityError {
  static defaults = { code: "inventory_busy", status: 429 };
}
/** Refused because of how things are: another request under this key, a hold that has ended. */
export class AuthorityConflict extends AuthorityError {
  static defaults = { code: "conflict", status: 409 };
}
/** Not enough stock for a hold; nothing was held. `insufficient` are the lines that are short. */
export class AuthorityShort extends AuthorityConflict {
  static defaults = { code: "inventory_insufficient", status: 409, insufficient: [] };
}
/** The request makes no sense to the authority: a defect of the caller, or a hold or shop that isn't there. */
export class AuthorityInvalid extends AuthorityError {
  static defaults = { code: "invalid_request", status: 400 };
}

class Unreadable extends Error {}

// Status → error and its code, where an answer has no problem document to say it.
const REFUSALS = new Map([
  [401, [AuthorityDenied, "unauthenticated"]],
  [403, [AuthorityDenied, "forbidden"]],
  [409, [AuthorityConflict, ""]],
  [429, [AuthorityBusy, "rate_limited"]],
  [504, [AuthorityTimeout, "inventory_timeout"]],
  ...[400, 404, 405, 410, 413, 415, 422].map((status) => [status, [AuthorityInvalid, ""]]),
]);
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const MOMENT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/;

export class InventoryAuthorityClient {
  #base; #token; #timeoutMs; #shopId; #tries; #fetch; #random; #onRetrySuccess;

  /** @param {Options} options Throws TypeError for a configuration that makes no sense; never quotes the token. */
  constructor({
    url, token = "", timeoutMs = TIMEOUT_MS, shopId, tries = TRIES,
    fetch = globalThis.fetch, random = Math.random, onRetrySuccess,
  }) {
    if (typeof url !== "string" || (url !== "" && !/^https?:\/\/[^/?#@\s]+(\/[^?#\s]*)?$/.test(url))) {
      throw new TypeError("url: expected https://host[:port][/path], no user, query or fragment.");
    }
    if (!/^[\x21-\x7e]*$/.test(token)) throw new TypeError("token: visible ASCII characters only.");
    if (!Number.isInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > 120_000) {
      throw new TypeError("timeoutMs: milliseconds from 1 to 120000.");
    }
    this.#base = url.replace(/\/+$/, "");
    this.#token = token;
    this.#timeoutMs = timeoutMs;
    this.#shopId = shopId;
    this.#tries = tries;
    // Bound: called as a method of something else, a browser's fetch refuses to work.
    this.#fetch = fetch.bind(globalThis);
    this.#random = random;
    this.#onRetrySuccess = onRetrySuccess;
  }

  /**
   * Whether all of it is there now; nothing is held. What is short is an answer, not an error.
   * @param {Item[]} items @returns {Promise<Validation>}
   */
  async validate(items) {
    const asked = lines(items);
    try {
      return await this.#call("validate", "POST", "/api/inventory/validate", { items: asked }, (answer) =>
        readValidation(answer, asked, this.#shopId),
      );
    } catch (error) {
      if (error instanceof AuthorityShort) return { ok: false, insufficient: error.insufficient };
      throw error;
    }
  }

  /**
   * Holds all lines or none; AuthorityShort when there is not enough. Without an `idempotencyKey` the client makes one,
   * so that its own repeats converge; an error carries it, so that yours can.
   * @param {Item[]} items @param {{ttlSeconds?: number, idempotencyKey?: string}} [options]
   * @returns {Promise<RemoteHold>}
   */
  async hold(items, { ttlSeconds, idempotencyKey = newKey() } = {}) {
    const asked = lines(items);
    const body = { items: asked, idempotencyKey, ...(ttlSeconds === undefined ? {} : { ttlSeconds }) };
    try {
      return await this.#call("hold", "POST", "/api/inventory/holds", body, (answer) =>
        readHold(answer, { asked, statuses: ["active", "committed"] }),
      );
    } catch (error) {
      if (error instanceof AuthorityError) error.idempotencyKey = idempotencyKey;
      throw error;
    }
  }

  /** The hold as it is now. @param {string} holdId @returns {Promise<RemoteHold>} */
  get(holdId) {
    return this.#hold("get", "GET", holdId, "", undefined, ["active", "committed", "released", "expired"]);
  }

  /** Lets it end `ttlSeconds` from now. @param {string} holdId @param {{ttlSeconds: number}} options */
  extend(holdId, { ttlSeconds }) {
    return this.#hold("extend", "POST", holdId, "/extend", { ttlSeconds }, ["active"]);
  }

  /** Turns it into a sale; repeating it is harmless. @param {string} holdId */
  commit(holdId) {
    return this.#hold("commit", "POST", holdId, "/commit", {}, ["committed"]);
  }

  /** Gives the units back; repeating it is harmless. @param {string} holdId @param {{reason?: string}} [options] */
  release(holdId, { reason } = {}) {
    return this.#hold("release", "POST", holdId, "/release", reason ? { reason } : {}, ["released"]);
  }

  /**
   * Every variant of the SKUs: for showing, at most two seconds old, never for selling.
   * @param {string[]} skus @returns {Promise<Available[]>}
   */
  availability(skus) {
    const query = new URLSearchParams(skus.map((sku) => ["sku", sku]));
    return this.#call("availability", "GET", `/api/inventory/availability?${query}`, undefined, (answer) =>
      readAvailability(answer, this.#shopId),
    );
  }

  /** Resolves when the authority can be reached with this token and says that it is well. @returns {Promise<void>} */
  async health() {
    await this.#call("health", "GET", "/api/inventory/health", undefined, (answer) => {
      if (answer.ok !== true) throw new Unreadable("It doesn't say that it is well.");
    });
  }

  async #hold(verb, method, holdId, below, body, statuses) {
    const known = String(holdId).toLowerCase();
    if (!UUID.test(known)) throw new AuthorityInvalid("This isn't the id of a hold.");
    return this.#call(verb, method, `/api/inventory/holds/${known}${below}`, body, (answer) =>
      readHold(answer, { holdId: known, statuses }),
    );
  }

  // Repeats while the stock is busy: nothing has happened then, so that every verb can be repeated.
  async #call(verb, method, path, body, read) {
    const endsAt = Date.now() + this.#timeoutMs;
    for (let retries = 0; ; ) {
      try {
        const found = await this.#once(method, path, body, read, endsAt, retries);
        if (retries) this.#onRetrySuccess?.(verb, retries);
        return found;
      } catch (error) {
        if (!(error instanceof AuthorityBusy) || error.code !== "inventory_busy" || retries >= this.#tries) throw error;
        const first = error.retryAfterMs ?? FIRST_MS;
        const delay = delayBefore(retries, first, { random: this.#random });
        // Longer than anyone should wait, or than this call may take: the caller's to decide about.
        if (first > CAP_MS || delay >= endsAt - Date.now()) throw error;
        await sleep(delay);
        retries += 1;
      }
    }
  }

  async #once(method, path, body, read, endsAt, retries) {
    const controller = new AbortController();
    const late = new Promise((_, fail) => {
      controller.signal.addEventListener("abort", () =>
        fail(new AuthorityTimeout(`No answer within ${this.#timeoutMs} ms.`)),
      );
    });
    late.catch(() => {}); // nobody may be listening any more
    const timer = setTimeout(() => controller.abort(), Math.max(1, endsAt - Date.now()));
    try {
      // A race, because a fetch that was given in need not heed the signal.
      return await Promise.race([this.#exchange(method, path, body, read, controller.signal, retries), late]);
    } finally {
      clearTimeout(timer);
      controller.abort(); // whatever is still under way, an endless body for one
    }
  }

  async #exchange(method, path, body, read, signal, retries) {
    let response;
    let text;
    try {
      response = await this.#fetch(this.#base + path, {
        method,
        headers: this.#headers(body !== undefined, retries),
        body: body === undefined ? undefined : JSON.stringify(body),
        signal,
        redirect: "manual", // a token goes where it was meant to go
      });
      text = await readText(response);
    } catch (error) {
      if (signal.aborted) throw new AuthorityTimeout(`No answer within ${this.#timeoutMs} ms.`);
      throw new AuthorityUnavailable(`The authority is out of reach: ${error.cause?.code ?? error.message}`);
    }
    if (response.status !== 200 && response.status !== 201) throw refusal(response, text);
    try {
      return read(parsed(response, text));
    } catch (error) {
      if (error instanceof Unreadable) throw unreadable(response, error.message);
      throw error;
    }
  }

  #headers(withBody, retries) {
    return {
      Accept: "application/json, application/problem+json",
      ...(this.#token && { Authorization: `Bearer ${this.#token}` }),
      ...(this.#shopId !== undefined && { "X-Shop-Id": this.#shopId }),
      ...(withBody && { "Content-Type": "application/json" }),
      ...(retries && { [RETRY_HEADER]: String(retries) }),
    };
  }
}

async function readText(response) {
  if (!response.body) return "";
  const reader = response.body.getReader();
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  for (let size = 0; ; ) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    size += value.byteLength;
    if (size > MOST_BYTES) throw new Error("the answer is too large");
    text += decoder.decode(value, { stream: true });
  }
}

function refusal(response, text) {
  const [Kind, usual] = REFUSALS.get(response.status) ?? [AuthorityUnavailable, ""];
  let problem = {};
  try {
    problem = parsed(response, text);
  } catch {
    // its status has to say it
  }
  const told = typeof problem.code === "string" && problem.code !== "" && problem.status === response.status;
  const requestId = requestIdOf(response);
  if (told && problem.code === AuthorityShort.defaults.code && Kind === AuthorityConflict) {
    try {
      return new AuthorityShort(String(problem.detail), { insufficient: readShortage(problem), requestId });
    } catch (error) {
      return unreadable(response, error.message);
    }
  }
  const code = told ? problem.code : usual;
  // Without a word of its own a proxy's 400 or 404 isn't the authority's.
  if (!code) return unreadable(response, "It isn't a problem document.");
  const detail = typeof problem.detail === "string" ? problem.detail : `The authority answered ${response.status}.`;
  const retryAfterMs = retryAfter(problem, response);
  return new Kind(detail, { code, status: response.status, retryAfterMs, requestId });
}

function unreadable(response, why) {
  return new AuthorityUnavailable(`The authority's answer (${response.status}) can't be relied on. ${why}`, {
    requestId: requestIdOf(response),
  });
}

const requestIdOf = (response) => (response.headers.get("X-Request-Id") ?? "").slice(0, 64);

function retryAfter(problem, response) {
  if (Number.isInteger(problem.retryAfterMs) && problem.retryAfterMs >= 0) return problem.retryAfterMs;
  const header = (response.headers.get("Retry-After") ?? "").trim();
  return /^\d{1,6}$/.test(header) ? Number(header) * 1_000 : null;
}

function parsed(response, text) {
  const type = (response.headers.get("Content-Type") ?? "").split(";")[0].trim().toLowerCase();
  if (type !== "application/json" && type !== "application/problem+json") throw new Unreadable("It isn't JSON.");
  let found;
  try {
    found = JSON.parse(text);
  } catch {
    throw new Unreadable("It isn't JSON.");
  }
  if (!isObject(found)) throw new Unreadable("It isn't an object.");
  return found;
}

function readValidation(answer, asked, shopId) {
  if (answer.ok !== true) throw new Unreadable("It doesn't say ok.");
  ofThisShop(answer, shopId);
  const items = objects(answer, "items").map(readChecked);
  sameUnits(items.map(({ sku, requested }) => [sku, requested]), asked);
  if (items.some(({ available, requested }) => available < requested)) {
    throw new Unreadable("It says ok to what is short.");
  }
  return { ok: true, items };
}

function readShortage(answer) {
  const items = objects(answer, "items").map(readChecked);
  if (!items.length || items.some(({ available, requested }) => available >= requested)) {
    throw new Unreadable("It doesn't say what is short.");
  }
  return items;
}

function readHold(answer, { asked = [], holdId = "", statuses }) {
  const found = text(answer, "holdId").toLowerCase();
  if (!UUID.test(found)) throw new Unreadable("holdId isn't an id.");
  if (holdId && found !== holdId) throw new Unreadable("It speaks of another hold.");
  const status = text(answer, "status");
  if (!statuses.includes(status)) {
    throw new Unreadable(`The hold is ${status.slice(0, 20)}, which was not asked for.`);
  }
  const items = objects(answer, "items").map((item) => ({
    sku: text(item, "sku"), variantKey: text(item, "variantKey"), quantity: count(item, "quantity"),
  }));
  if (asked.length) sameUnits(items.map(({ sku, quantity }) => [sku, quantity]), asked);
  const { idempotentHit = false } = answer;
  if (typeof idempotentHit !== "boolean") throw new Unreadable("idempotentHit isn't true or false.");
  const expiresAt = text(answer, "expiresAt");
  if (!MOMENT.test(expiresAt) || Number.isNaN(Date.parse(expiresAt))) throw new Unreadable("expiresAt isn't a time.");
  return { holdId: found, status, expiresAt, items, idempotentHit };
}

function readAvailability(answer, shopId) {
  ofThisShop(answer, shopId);
  return objects(answer, "items").map((item) => {
    const state = text(item, "state");
    if (!["in_stock", "low", "out"].includes(state)) throw new Unreadable("It names a state that there isn't.");
    return { sku: text(item, "sku"), variantKey: text(item, "variantKey"), available: count(item, "available"), state };
  });
}

function ofThisShop(answer, shopId) {
  if (shopId !== undefined && answer.shopId !== shopId) throw new Unreadable("It speaks of another shop.");
}

// By SKU: how attributes become a variant's key is the authority's to know.
function sameUnits(answered, asked) {
  const units = new Map();
  for (const { sku, quantity } of asked) units.set(sku, (units.get(sku) ?? 0) + quantity);
  for (const [sku, quantity] of answered) units.set(sku, (units.get(sku) ?? 0) - quantity);
  if ([...units.values()].some((left) => left !== 0)) {
    throw new Unreadable("It speaks of other goods than were asked for.");
  }
}

function lines(items) {
  const found = [...items];
  if (!found.length || found.some(({ quantity }) => !Number.isInteger(quantity) || quantity < 1)) {
    throw new AuthorityInvalid("At least one line, each of at least one unit.");
  }
  return found;
}

// Node.js 18 and pages without TLS have none; a key that isn't unique would be another hold's.
function newKey() {
  if (!globalThis.crypto?.randomUUID) throw new AuthorityInvalid("No crypto.randomUUID here: pass an idempotencyKey.");
  return crypto.randomUUID();
}

const readChecked = (item) => ({
  sku: text(item, "sku"), variantKey: text(item, "variantKey"),
  requested: count(item, "requested"), available: count(item, "available"),
});

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

function objects(answer, name) {
  if (!Array.isArray(answer[name]) || !answer[name].every(isObject)) {
    throw new Unreadable(`${name} isn't a list of objects.`);
  }
  return answer[name];
}

function text(item, name) {
  if (typeof item[name] !== "string" || item[name] === "") throw new Unreadable(`${name} isn't a text.`);
  return item[name];
}

function count(item, name) {
  if (!Number.isSafeInteger(item[name]) || item[name] < 0) throw new Unreadable(`${name} isn't a number of units.`);
  return item[name];
}
