// A trader of a scene: an account of the local exchange, driven by the official client.
import { Wallet } from "@ethersproject/wallet";
import { AssetType, Chain, ClobClient } from "@polymarket/clob-client-v2";
import { createWalletClient, http } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { polygon } from "viem/chains";

/** The client takes a signer of either library. */
export const SIGNERS = {
  // the transport is never used: signing needs no chain
  viem: (key) => createWalletClient({ account: privateKeyToAccount(key), chain: polygon, transport: http() }),
  ethers: (key) => new Wallet(key),
};

/** A client that can sign but has no API key yet. */
export function signing(host, key, more = {}) {
  return new ClobClient({ host, chain: Chain.POLYGON, signer: SIGNERS.viem(key), ...more });
}

const traders = [];

/** A client with its API key; errors are answers (`{error, status}`), as is the client's default. */
export async function trader(host, key, more = {}) {
  const creds = await signing(host, key).createOrDeriveApiKey();
  traders.push(signing(host, key, { creds, ...more }));
  return traders.at(-1);
}

/** Leave the market as it was found, also after a failure: the next scene counts on an empty book. */
export async function leave() {
  for (const client of traders) await client.cancelAll();
}

/** Base units held: pUSD, or shares of a token. */
export async function held(client, token) {
  const params = token
    ? { asset_type: AssetType.CONDITIONAL, token_id: token }
    : { asset_type: AssetType.COLLATERAL };
  return Number((await client.getBalanceAllowance(params)).balance);
}
