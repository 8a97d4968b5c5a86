// Seller: the last v1 Express middleware.
import { paymentMiddleware } from "x402-express";
import { required } from "./environment.mjs";
import { facilitatorConfig } from "./facilitator-client.mjs";
import { listen } from "./listen.mjs";
import { PAID_PATH, PRICE, shop } from "./shop.mjs";

const routes = { [`GET ${PAID_PATH}`]: { price: PRICE, network: "base-sepolia" } };
const paywall = paymentMiddleware(required("EVM_PAYEE_ADDRESS"), routes, facilitatorConfig);

listen(shop(paywall), "Server", required("PORT"));
