// Waiting between tries: exponential, with jitter, so that the many who were refused together don't return together.

export const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

// The delay before try number `attempt` (0 is the first retry), in milliseconds: 0.5 to 1.5 times a doubling base that
// begins with what the server said and never exceeds `cap`.
export function delayBefore(attempt, firstMs, { cap = 5_000, random = Math.random } = {}) {
  const base = Math.min(cap, firstMs * 2 ** attempt);
  return Math.round(base * (0.5 + random()));
}
