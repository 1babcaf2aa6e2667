// Makes calls with the JavaScript client: a line {options, verb, args} on standard input becomes a line with the outcome
// on standard output, in the words that the Python tests use. The client's address is the first argument.

import { webcrypto } from "node:crypto";
import { argv, stdin, stdout } from "node:process";
import { createInterface } from "node:readline";

globalThis.crypto ??= webcrypto; // Node.js 18 keeps it in its module

const { InventoryAuthorityClient, AuthorityError, delayBefore } = await import(argv[2]);

async function outcomeOf({ options, verb, args }) {
  if (verb === "delayBefore") {
    const [retry, first, jitter] = args;
    return { value: delayBefore(retry, first, { random: () => jitter }) };
  }
  const retried = [];
  try {
    const client = new InventoryAuthorityClient({ ...options, onRetrySuccess: (...what) => retried.push(what) });
    return { value: (await client[verb](...args)) ?? null, retried };
  } catch (error) {
    if (error instanceof TypeError) return { refused: error.message };
    if (!(error instanceof AuthorityError)) throw error;
    const { name, code, status, retryAfterMs, insufficient, requestId, message } = error;
    return { error: name, code, status, retryAfterMs, insufficient, requestId, message, retried };
  }
}

for await (const line of createInterface({ input: stdin })) {
  stdout.write(`${JSON.stringify(await outcomeOf(JSON.parse(line)))}\n`);
}
