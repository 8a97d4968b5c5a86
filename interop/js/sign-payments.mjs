// Signs payments without sending them: asks the endpoint for its terms once, then prints COUNT values
// for the PAYMENT-SIGNATURE header, one a line, each over a nonce of its own. Replays, races and load
// tests send them.
import { x402Client, x402HTTPClient } from "@x402/core/client";
import { ExactEvmScheme } from "@x402/evm";
import { optional } from "./environment.mjs";
import { account, body, headers, method, network, url } from "./purchase.mjs";

const client = new x402HTTPClient(
  x402Client.fromConfig({ schemes: [{ network, client: new ExactEvmScheme(account) }] }),
);

const unpaid = await fetch(url, { method, headers, body });
await unpaid.arrayBuffer();
const terms = client.getPaymentRequiredResponse((name) => unpaid.headers.get(name));
for (let left = Number(optional("COUNT", "1")); left > 0; left -= 1) {
  const payment = await client.createPaymentPayload(terms);
  console.log(client.encodePaymentSignatureHeader(payment)["PAYMENT-SIGNATURE"]);
}
