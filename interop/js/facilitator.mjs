// Facilitator: the official TypeScript class behind its three endpoints.
import express from "express";
import { optional, required } from "./environment.mjs";
import { evmFacilitator } from "./evm-facilitator.mjs";
import { listen } from "./listen.mjs";

const facilitator = evmFacilitator({
  privateKey: required("EVM_PRIVATE_KEY"),
  network: optional("EVM_NETWORK", "eip155:84532"),
  rpcUrl: required("EVM_RPC_URL"),
});

const app = express();
app.use(express.json());
app.get("/supported", (_req, res) => res.json(facilitator.getSupported()));
app.post("/verify", async (req, res) => {
  res.json(await facilitator.verify(req.body.paymentPayload, req.body.paymentRequirements));
});
app.post("/settle", async (req, res) => {
  res.json(await facilitator.settle(req.body.paymentPayload, req.body.paymentRequirements));
});
listen(app, "Facilitator", required("PORT"));
