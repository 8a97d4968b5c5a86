// Buyer: the official v2 client for `fetch`, reading server-sent events as they come. Prints the data of
// each event on a line of its own, and at the end the usual report.
import { decodePaymentResponseHeader, wrapFetchWithPaymentFromConfig } from "@x402/fetch";
import { ExactEvmScheme } from "@x402/evm";
import { account, body, headers, method, network, report, url } from "./purchase.mjs";

const pay = wrapFetchWithPaymentFromConfig(fetch, {
  schemes: [{ network, client: new ExactEvmScheme(account) }],
});

await report(async () => {
  const response = await pay(url, { method, headers, body });
  const receipt = response.headers.get("PAYMENT-RESPONSE");
  const events = [];
  let rest = "";
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n\n");
    rest = parts.pop();
    for (const event of parts) {
      events.push(event.replace(/^data: /, ""));
      console.log(`event ${events.at(-1)}`);
    }
  }
  return {
    status: response.status,
    contentType: "application/json",
    bytes: JSON.stringify(events),
    paymentResponse: receipt && decodePaymentResponseHeader(receipt),
  };
});
