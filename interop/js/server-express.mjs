// Seller: the official v2 Express middleware with a facilitator over HTTP.
import { HTTPFacilitatorClient } from "@x402/core/server";
import { required } from "./environment.mjs";
import { expressSeller } from "./express-seller.mjs";
import { listen } from "./listen.mjs";

const facilitator = new HTTPFacilitatorClient({ url: required("FACILITATOR_URL") });
listen(expressSeller(facilitator), "Server", required("PORT"));
