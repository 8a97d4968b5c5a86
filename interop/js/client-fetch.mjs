// Buyer: the official v2 client for `fetch`.
import { decodePaymentResponseHeader, wrapFetchWithPaymentFromConfig } from "@x402/fetch";
import { ExactEvmScheme } from "@x402/evm";
import { account, body, headers, method, network, report, url } from "./purchase.mjs";

const pay = wrapFetchWithPaymentFromConfig(fetch, {
  schemes: [{ network, client: new ExactEvmScheme(account) }],
});

await report(async () => {
  const response = await pay(url, { method, headers, body });
  const receipt = response.headers.get("PAYMENT-RESPONSE");
  return {
    status: response.status,
    contentType: response.headers.get("content-type"),
    bytes: await response.arrayBuffer(),
    paymentResponse: receipt && decodePaymentResponseHeader(receipt),
  };
});
