// The official facilitator class on one wallet, built as its documentation shows, plus viem's nonce
// manager: without it simultaneous settlements reuse nonces and fail.
import { x402Facilitator } from "@x402/core/facilitator";
import { toFacilitatorEvmSigner } from "@x402/evm";
import { registerExactEvmScheme } from "@x402/evm/exact/facilitator";
import { createWalletClient, defineChain, http, publicActions } from "viem";
import { nonceManager, privateKeyToAccount } from "viem/accounts";

/** A facilitator for `exact` payments (v2 on `network`, and v1) that settles over `rpcUrl`. */
export function evmFacilitator({ privateKey, network, rpcUrl }) {
  const chain = defineChain({
    id: Number(network.split(":")[1]),
    name: network,
    nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
    rpcUrls: { default: { http: [rpcUrl] } },
  });
  const account = privateKeyToAccount(privateKey, { nonceManager });
  const wallet = createWalletClient({ account, chain, transport: http(rpcUrl), pollingInterval: 100 });
  const signer = toFacilitatorEvmSigner({ ...wallet.extend(publicActions), address: account.address });
  return registerExactEvmScheme(new x402Facilitator(), { signer, networks: network });
}
