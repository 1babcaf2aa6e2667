// The public API, as any storefront would use it. Every failure is a Problem with the contract's `code`.

const TIMEOUT_MS = 30_000;

export class Problem extends Error {
  constructor(code, status = 0, body = {}) {
    super(body.detail ?? code);
    this.code = code;
    this.status = status;
    this.body = body;
  }

  // Milliseconds until a retry makes sense; null where the server named none.
  get retryAfterMs() {
    return this.body.retryAfterMs ?? null;
  }
}

export async function call(method, path, body, headers = {}) {
  let response;
  let text;
  try {
    response = await fetch(path, {
      method,
      credentials: "same-origin",
      headers: body === undefined ? headers : { "Content-Type": "application/json", ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    text = await response.text();
  } catch {
    throw new Problem("offline");
  }
  let answer = {};
  try {
    answer = text ? JSON.parse(text) : {};
  } catch {
    throw new Problem("unreadable", response.status);
  }
  if (!response.ok) {
    const named = { ...answer };
    const header = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
    if (named.retryAfterMs === undefined && header > 0) {
      named.retryAfterMs = header * 1000;
    }
    throw new Problem(answer.code ?? "unreadable", response.status, named);
  }
  return answer;
}
