// What every JavaScript client here shares: the purchase that the environment describes, and the one
// line of JSON that reports how it went.
//
//   EVM_PRIVATE_KEY        the buyer's key
//   RESOURCE_SERVER_URL    the seller
//   ENDPOINT_PATH          the path bought
//   REQUEST_METHOD         GET where unset
//   REQUEST_BODY           sent as JSON where set
//   REQUEST_BODY_BYTES     the length of a body made up here, in place of REQUEST_BODY
//   EVM_NETWORK            the only network to pay on, any EVM network where unset
import { createHash } from "node:crypto";
import { privateKeyToAccount } from "viem/accounts";
import { optional, required } from "./environment.mjs";

export const account = privateKeyToAccount(required("EVM_PRIVATE_KEY"));
export const url = new URL(required("ENDPOINT_PATH"), required("RESOURCE_SERVER_URL")).href;
export const network = optional("EVM_NETWORK", "eip155:*");
export const method = optional("REQUEST_METHOD", "GET");
const length = Number(optional("REQUEST_BODY_BYTES", "0"));
export const body = length ? JSON.stringify("x".repeat(length - 2)) : optional("REQUEST_BODY", undefined);
export const headers = body === undefined ? {} : { "content-type": "application/json" };
// What a gate wants to see of a body that it does not read before it is paid for (RFC 9530).
if (length) headers["content-digest"] = `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;

/**
 * Runs `buy`, which resolves to `{status, contentType, bytes, paymentResponse}`, and prints
 * `{success, status_code, data, payment_response}`. A client that throws is reported, not hidden.
 */
export async function report(buy) {
  let line;
  try {
    const { status, contentType, bytes, paymentResponse } = await buy();
    line = {
      success: status >= 200 && status < 300 && paymentResponse?.success !== false,
      status_code: status,
      data: decode(contentType ?? "", Buffer.from(bytes)),
      payment_response: paymentResponse ?? null,
    };
  } catch (error) {
    line = { success: false, status_code: null, data: null, payment_response: null, error: String(error) };
  }
  console.log(JSON.stringify(line));
}

/** JSON as a value and text as a string; anything else by its length and digest. */
function decode(contentType, bytes) {
  if (/^application\/(problem\+)?json/.test(contentType)) return JSON.parse(bytes.toString());
  if (contentType.startsWith("text/")) return bytes.toString();
  return { bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
}
