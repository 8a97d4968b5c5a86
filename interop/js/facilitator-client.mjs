// How a seller reaches its facilitator. One that is not open to everybody wants a bearer token, which the
// SDKs of both versions send with the headers that a seller makes for each endpoint.
import { optional, required } from "./environment.mjs";

const token = optional("FACILITATOR_TOKEN", undefined);
const headers = { Authorization: `Bearer ${token}` };

/** The configuration of the SDKs' facilitator clients. */
export const facilitatorConfig = {
  url: required("FACILITATOR_URL"),
  ...(token && {
    createAuthHeaders: async () => ({ verify: headers, settle: headers, supported: headers }),
  }),
};
