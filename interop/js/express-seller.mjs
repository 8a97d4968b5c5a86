// The official v2 Express middleware in front of the shop.
import { ExactEvmScheme } from "@x402/evm/exact/server";
import { paymentMiddleware, x402ResourceServer } from "@x402/express";
import { optional, required } from "./environment.mjs";
import { PAID_PATH, PRICE, shop } from "./shop.mjs";

export const network = optional("EVM_NETWORK", "eip155:84532");

/** An Express app that sells through `facilitator`. */
export function expressSeller(facilitator) {
  const seller = new x402ResourceServer(facilitator).register(network, new ExactEvmScheme());
  const accepts = { scheme: "exact", price: PRICE, network, payTo: required("EVM_PAYEE_ADDRESS") };
  return shop(paymentMiddleware({ [`GET ${PAID_PATH}`]: { accepts } }, seller));
}
