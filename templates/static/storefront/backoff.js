// How long to wait between tries: the authority's own client says, so that pages and servers wait alike.

export { RETRY_HEADER, delayBefore, sleep } from "../inventory/inventory-authority-client.js";
