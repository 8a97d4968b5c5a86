// Buyer: the official v2 client for axios.
import axios from "axios";
import { decodePaymentResponseHeader, wrapAxiosWithPaymentFromConfig } from "@x402/axios";
import { ExactEvmScheme } from "@x402/evm";
import { account, body, headers, method, network, report, url } from "./purchase.mjs";

const pay = wrapAxiosWithPaymentFromConfig(axios.create({ responseType: "arraybuffer" }), {
  schemes: [{ network, client: new ExactEvmScheme(account) }],
});

await report(async () => {
  // The interceptor pays on a rejected 402, so the other failures have to arrive as errors too.
  const response = await pay.request({ url, method, headers, data: body }).catch((error) => {
    if (error.response) return error.response;
    throw error;
  });
  const receipt = response.headers["payment-response"];
  return {
    status: response.status,
    contentType: response.headers["content-type"],
    bytes: response.data,
    paymentResponse: receipt && decodePaymentResponseHeader(receipt),
  };
});
