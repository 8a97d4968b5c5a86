// What the official packages, and viem, know of networks and their dollar tokens, as one line of JSON.
import { DEFAULT_ASSETS } from "@x402/evm";
import { usdc } from "viem/tokens";
import { getDefaultAsset } from "x402/shared";
import { EvmNetworkToChainId } from "x402/types";

const v1 = [...EvmNetworkToChainId].map(([name, chain]) => {
  const { address, decimals, eip712 } = getDefaultAsset(name);
  return { name, chain, asset: { asset: address, decimals, ...eip712 } };
});
const v2 = Object.entries(DEFAULT_ASSETS).map(([network, assets]) => ({ network, assets }));
console.log(JSON.stringify({ v1, v2, viem: { addresses: usdc.addresses, decimals: usdc.decimals } }));
