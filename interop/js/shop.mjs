// What the Express sellers here sell: one priced endpoint, and beside it the number of times that its
// handler really ran, which is how a test tells a paid answer from work done for nothing.
import express from "express";

export const PAID_PATH = "/exact/evm/eip3009";
export const PRICE = "$0.001";

/** An Express app with `paywall` in front of the priced endpoint. */
export function shop(paywall) {
  let calls = 0;
  const app = express();
  app.get("/calls", (_req, res) => res.json({ calls }));
  app.use(paywall);
  app.get(PAID_PATH, (_req, res) => {
    calls += 1;
    res.json({ message: "protected endpoint accessed", call: calls });
  });
  return app;
}
