// Buyer: the last v1 client for `fetch`, with its own default cap of 0.10 USDC.
import { createWalletClient, http } from "viem";
import { baseSepolia } from "viem/chains";
import { decodeXPaymentResponse, wrapFetchWithPayment } from "x402-fetch";
import { optional } from "./environment.mjs";
import { account, body, headers, method, report, url } from "./purchase.mjs";

const wallet = createWalletClient({
  account,
  chain: baseSepolia,
  transport: http(optional("EVM_RPC_URL", undefined)),
});
const pay = wrapFetchWithPayment(fetch, wallet);

await report(async () => {
  const response = await pay(url, { method, headers, body });
  const receipt = response.headers.get("X-PAYMENT-RESPONSE");
  return {
    status: response.status,
    contentType: response.headers.get("content-type"),
    bytes: await response.arrayBuffer(),
    paymentResponse: receipt && decodeXPaymentResponse(receipt),
  };
});
