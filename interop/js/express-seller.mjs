// The official v2 Express middleware in front of the shop.
import { ExactEvmScheme } from "@x402/evm/exact/server";
import { paymentMiddleware, x402ResourceServer } from "@x402/express";
import { optional, required } from "./environment.mjs";
import { PAID_PATH, PRICE, shop } from "./shop.mjs";

export const network = optional("EVM_NETWORK", "eip155:84532");

/** An Express app that sells through `facilitator`, to read and to write to. */
export function expressSeller(facilitator) {
  const seller = new x402ResourceServer(facilitator).register(network, new ExactEvmScheme());
  const accepts = { scheme: "exact", price: PRICE, network, payTo: required("EVM_PAYEE_ADDRESS") };
  const routes = { [`GET ${PAID_PATH}`]: { accepts }, [`POST ${PAID_PATH}`]: { accepts } };
  const app = shop(paymentMiddleware(routes, seller));
  app.post(PAID_PATH, (req, res) => {
    let bytes = 0;
    req.on("data", (chunk) => (bytes += chunk.length));
    req.on("end", () => res.json({ bytes }));
  });
  return app;
}
