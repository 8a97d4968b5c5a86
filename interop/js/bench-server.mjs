// The official stack at its best, for comparisons: Express seller and facilitator in one process, so that
// no request crosses HTTP between them, and a free endpoint as the middleware's own floor.
import { required } from "./environment.mjs";
import { evmFacilitator } from "./evm-facilitator.mjs";
import { expressSeller, network } from "./express-seller.mjs";
import { listen } from "./listen.mjs";

const facilitator = evmFacilitator({
  privateKey: required("EVM_PRIVATE_KEY"),
  network,
  rpcUrl: required("EVM_RPC_URL"),
});
const app = expressSeller({
  verify: (payload, requirements) => facilitator.verify(payload, requirements),
  settle: (payload, requirements) => facilitator.settle(payload, requirements),
  getSupported: async () => facilitator.getSupported(),
});
app.get("/free", (_req, res) => res.json({ message: "free endpoint accessed" }));
listen(app, "Server", required("PORT"));
