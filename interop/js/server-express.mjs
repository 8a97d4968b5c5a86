// Seller: the official v2 Express middleware with a facilitator over HTTP.
import { HTTPFacilitatorClient } from "@x402/core/server";
import { required } from "./environment.mjs";
import { expressSeller } from "./express-seller.mjs";
import { facilitatorConfig } from "./facilitator-client.mjs";
import { listen } from "./listen.mjs";

listen(expressSeller(new HTTPFacilitatorClient(facilitatorConfig)), "Server", required("PORT"));
