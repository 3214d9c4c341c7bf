// What the official client does on the local exchange, scene by scene: node scenes.mjs NAME '{"host": ..., "keys": [...]}'
//
// Every scene has accounts of its own and leaves no orders behind. The market holds nothing else, so each finds an empty
// book, and amounts, prices and balances are exact. A scene that fails says on stderr what the client was answered.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { ApiError, OrderType, Side } from "@polymarket/clob-client-v2";
import { held, leave, signing, SIGNERS, trader } from "./trader.mjs";

const UNKNOWN = "0x" + "11".repeat(32);
const { BUY, SELL } = Side;
const { GTC, GTD, FOK, FAK } = OrderType;

/** The one market: its condition id and tokens. */
async function market(client) {
  const row = (await client.getMarkets()).data[0];
  const [yes, no] = row.tokens.map((token) => token.token_id);
  return { condition: row.condition_id, yes, no };
}

const limit = (client, tokenID, side, price, size, type = GTC, more = {}, postOnly = false) =>
  client.createAndPostOrder({ tokenID, side, price, size, ...more }, undefined, type, postOnly);
const take = (client, tokenID, side, amount, price, type) =>
  client.createAndPostMarketOrder({ tokenID, side, amount, price, orderType: type }, undefined, type);

/** The id of an order that rests. */
async function resting(...args) {
  const answer = await limit(...args);
  assert.equal(answer.status, "live", JSON.stringify(answer));
  assert.deepEqual([answer.success, answer.errorMsg, answer.makingAmount, answer.takingAmount], [true, "", "", ""]);
  return answer.orderID;
}

function refused(answer, status, text) {
  assert.equal(answer.status, status, JSON.stringify(answer));
  assert.ok(answer.error.includes(text), `${JSON.stringify(answer)} does not say: ${text}`);
}

const scenes = {
  async keys({ host, keys: [key] }) {
    const client = signing(host, key);
    const made = await client.createApiKey();
    assert.ok(made.key && made.secret && made.passphrase);
    assert.equal((await signing(host, key).createApiKey()).key, undefined); // there is one: an error, so it derives
    for (const signer of Object.values(SIGNERS)) {
      const same = signing(host, key, { signer: signer(key) });
      assert.deepEqual(await same.deriveApiKey(), made);
      assert.deepEqual(await same.createOrDeriveApiKey(), made);
    }
    const second = await client.createApiKey(7);
    assert.notEqual(second.key, made.key);
    assert.deepEqual(await client.deriveApiKey(7), second);
    const full = signing(host, key, { creds: made });
    assert.deepEqual((await full.getApiKeys()).apiKeys.sort(), [made.key, second.key].sort());
    assert.deepEqual(await full.getClosedOnlyMode(), { closed_only: false });
    assert.deepEqual(await signing(host, key, { creds: made, useServerTime: true }).getOpenOrders(), []);
    const wrong = { ...made, secret: second.secret };
    refused(await signing(host, key, { creds: wrong }).getApiKeys(), 401, "Unauthorized/Invalid api key");
    assert.equal(await full.deleteApiKey(), "OK");
    refused(await full.getApiKeys(), 401, "Unauthorized/Invalid api key");
    assert.equal((await client.deriveApiKey()).key, undefined);
    const strict = signing(host, key, { creds: made, throwOnError: true });
    await assert.rejects(strict.getApiKeys(), (error) => error instanceof ApiError && error.status === 401);
  },

  async markets({ host, keys: [key] }) {
    const client = signing(host, key);
    const { condition, yes, no } = await market(client);
    assert.equal(await client.getOk(), "OK");
    assert.ok(Math.abs((await client.getServerTime()) - Date.now() / 1000) < 60);
    assert.equal(await client.getVersion(), 2);
    assert.equal((await client.getMarket(condition)).condition_id, condition);
    const pages = [await client.getSimplifiedMarkets(), await client.getSamplingSimplifiedMarkets()];
    assert.deepEqual(pages[0], pages[1]);
    assert.deepEqual(await client.getSamplingMarkets(), await client.getMarkets());
    const info = await client.getClobMarketInfo(condition);
    assert.deepEqual([info.mos, info.mts, info.fd], [5, 0.01, { r: 0.04, e: 1, to: true }]);
    assert.deepEqual(info.t, [{ t: yes, o: "Yes" }, { t: no, o: "No" }]);
    const fresh = signing(host, key); // has cached nothing
    assert.equal(await fresh.getTickSize(yes), "0.01");
    assert.equal(await fresh.getNegRisk(yes), false);
    assert.equal(await fresh.getFeeExponent(no), 1);
    assert.equal(typeof (await fresh.getFeeRateBps(yes)), "number");
    refused(await client.getOrderBook("12345"), 404, "No orderbook exists for the requested token id");
    refused(await client.getMarket(UNKNOWN), 404, "market not found");
  },

  async books({ host, keys: [key] }) {
    const client = await trader(host, key);
    const { condition, yes, no } = await market(client);
    for (const [side, price, size] of [[BUY, 0.4, 10], [BUY, 0.41, 20.5], [SELL, 0.45, 7.25], [SELL, 0.5, 30]])
      await resting(client, yes, side, price, size);
    const book = await client.getOrderBook(yes);
    const { hash } = book;
    assert.equal(await client.getOrderBookHash(book), hash); // the client's own reckoning of the venue's hash
    assert.deepEqual([book.market, book.asset_id, book.tick_size, book.min_order_size], [condition, yes, "0.01", "5"]);
    assert.deepEqual(book.bids, [{ price: "0.4", size: "10" }, { price: "0.41", size: "20.5" }]);
    assert.deepEqual(book.asks, [{ price: "0.5", size: "30" }, { price: "0.45", size: "7.25" }]);
    const mirror = await client.getOrderBook(no);
    assert.deepEqual(mirror.bids, [{ price: "0.5", size: "30" }, { price: "0.55", size: "7.25" }]);
    const both = [{ token_id: yes, side: BUY }, { token_id: no, side: SELL }];
    assert.deepEqual((await client.getOrderBooks(both)).map((one) => one.asset_id), [yes, no]);
    assert.equal((await client.getMidpoint(yes)).mid, "0.43");
    assert.deepEqual(await client.getMidpoints(both), { [yes]: "0.43", [no]: "0.57" });
    assert.equal((await client.getPrice(yes, BUY)).price, "0.41");
    assert.equal((await client.getPrice(yes, SELL)).price, "0.45");
    assert.deepEqual(await client.getPrices(both), { [yes]: { BUY: "0.41" }, [no]: { SELL: "0.59" } });
    assert.equal((await client.getSpread(no)).spread, "0.04");
    assert.deepEqual(await client.getSpreads(both), { [yes]: "0.04", [no]: "0.04" });
    assert.equal(await client.calculateMarketPrice(yes, BUY, 10, FOK), 0.5);
    assert.equal(await client.calculateMarketPrice(yes, SELL, 20, FOK), 0.41);
    assert.equal((await client.cancelAll()).canceled.length, 4);
  },

  async limits_and_cancels({ host, keys: [key] }) {
    const client = await trader(host, key);
    const { condition, yes, no } = await market(client);
    const ids = [await resting(client, yes, BUY, 0.02, 10), await resting(client, yes, BUY, 0.03, 10.55)];
    ids.push(await resting(client, no, BUY, 0.02, 10), await resting(client, yes, SELL, 0.99, 10));
    const rows = await client.getOpenOrders();
    assert.deepEqual(rows.map((row) => [row.id, row.status, row.size_matched]), ids.map((id) => [id, "LIVE", "0"]));
    assert.deepEqual((await client.getOpenOrders({ asset_id: no })).map((row) => row.id), [ids[2]]);
    assert.deepEqual((await client.getOpenOrders({ market: condition }, true)).length, 4);
    assert.deepEqual((await client.getOpenOrders({ id: ids[1] })).map((row) => row.original_size), ["10.55"]);
    const one = await client.getOrder(ids[0]);
    assert.deepEqual(
      [one.price, one.original_size, one.outcome, one.market, one.side, one.order_type, one.owner, one.asset_id],
      ["0.02", "10", "Yes", condition, "BUY", "GTC", client.creds.key, yes],
    );
    assert.equal(await client.getOrder(UNKNOWN), null);
    assert.deepEqual(await client.cancelOrder({ orderID: ids[0] }), { canceled: [ids[0]], not_canceled: {} });
    const gone = "Order not found or already canceled";
    assert.deepEqual(await client.cancelOrder({ orderID: ids[0] }), { canceled: [], not_canceled: { [ids[0]]: gone } });
    assert.deepEqual(await client.cancelOrders([ids[1], UNKNOWN]), { canceled: [ids[1]], not_canceled: { [UNKNOWN]: gone } });
    assert.deepEqual((await client.cancelMarketOrders({ asset_id: no })).canceled, [ids[2]]);
    assert.deepEqual((await client.cancelMarketOrders({ market: condition })).canceled, [ids[3]]);
    const attributed = { builderCode: "0x" + "ab".repeat(32), metadata: "0x" + "cd".repeat(32) }; // signed with the rest
    assert.ok(await resting(client, yes, BUY, 0.02, 10, GTC, attributed));
    assert.equal((await client.cancelAll()).canceled.length, 1);
    const more = [await resting(client, yes, BUY, 0.02, 10), await resting(client, no, BUY, 0.02, 10)];
    assert.deepEqual((await client.cancelAll()).canceled.sort(), more.sort());
    assert.deepEqual(await client.cancelAll(), { canceled: [], not_canceled: {} });
    assert.deepEqual(await client.getOpenOrders(), []);
    assert.equal((await client.getOrder(more[0])).status, "CANCELED");
  },

  async market_orders({ host, keys }) {
    const [maker, taker] = [await trader(host, keys[0]), await trader(host, keys[1])];
    const { yes } = await market(maker);
    const asks = [await resting(maker, yes, SELL, 0.5, 20), await resting(maker, yes, SELL, 0.52, 20)];
    const before = { cash: await held(taker), shares: await held(taker, yes), paid: await held(maker) };
    assert.deepEqual([before.cash, before.shares], [800_000_000, 200_000_000]); // 1000 deposited, 200 of it made sets

    const whole = await take(taker, yes, BUY, 5, undefined, FOK); // at the price the client finds in the book
    assert.deepEqual([whole.status, whole.makingAmount, whole.takingAmount], ["matched", "5", "10"]);
    assert.equal(whole.transactionsHashes.length, 1);
    assert.equal(await held(taker, yes), before.shares + 10_000_000);
    assert.equal(await held(taker), before.cash - 5_000_000 - 100_000); // 10 x 0.04 x 0.5 x 0.5
    assert.equal(await held(maker), before.paid + 5_000_000); // makers pay no fee

    const walks = await take(taker, yes, BUY, 7.6, 0.52, FOK); // 10 at 0.50, 5 at 0.52
    assert.deepEqual([walks.status, walks.makingAmount, walks.takingAmount], ["matched", "7.6", "15"]);
    assert.equal(walks.tradeIDs.length, 2);
    assert.equal((await maker.getOrder(asks[0])).status, "MATCHED");
    assert.equal((await maker.getOrder(asks[1])).size_matched, "5");
    refused(await take(taker, yes, BUY, 50, 0.52, FOK), 400, "FOK orders are fully filled or killed");
    const part = await take(taker, yes, BUY, 50, 0.52, FAK);
    assert.deepEqual([part.status, part.makingAmount, part.takingAmount], ["matched", "7.8", "15"]);
    refused(await take(taker, yes, BUY, 50, 0.52, FAK), 400, "no orders found to match with FAK order");

    await resting(maker, yes, BUY, 0.4, 12);
    const sold = await take(taker, yes, SELL, 5, undefined, FOK);
    assert.deepEqual([sold.status, sold.makingAmount, sold.takingAmount], ["matched", "5", "2"]);
    const rest = await take(taker, yes, SELL, 100, 0.4, FAK);
    assert.deepEqual([rest.makingAmount, rest.takingAmount], ["7", "2.8"]);
    assert.equal((await taker.getLastTradePrice(yes)).price, "0.4");

    const trades = await taker.getTrades();
    const answered = [whole, walks, part, sold, rest].flatMap((answer) => answer.tradeIDs);
    assert.deepEqual(trades.map((trade) => trade.id).sort(), answered.sort());
    const [one] = await taker.getTrades({ id: whole.tradeIDs[0] });
    assert.deepEqual([one.trader_side, one.taker_order_id, one.size, one.price, one.side], ["TAKER", whole.orderID, "10", "0.5", "BUY"]);
    assert.deepEqual([one.transaction_hash], whole.transactionsHashes);
    assert.equal(one.status, "TRADE_STATUS_CONFIRMED");
    const [other] = await maker.getTrades({ id: whole.tradeIDs[0] });
    assert.equal(other.trader_side, "MAKER");
    assert.deepEqual(
      other.maker_orders.map((order) => [order.order_id, order.matched_amount, order.price, order.side]),
      [[asks[0], "10", "0.5", "SELL"]],
    );
    const page = await taker.getTradesPaginated();
    assert.deepEqual([page.trades.length, page.next_cursor, page.count], [trades.length, "LTE=", trades.length]);
    assert.deepEqual(await taker.getTrades({ market: UNKNOWN }), []);
    assert.deepEqual(await taker.getTrades({ after: String(Math.floor(Date.now() / 1000) + 600) }), []);
    assert.deepEqual((await taker.updateBalanceAllowance({ asset_type: "COLLATERAL" })).error, undefined);
    await maker.cancelAll();
  },

  async odd_amounts({ host, keys }) {
    // a market BUY whose shares do not come out even still takes the ask at its own worst price
    const [maker, taker] = [await trader(host, keys[0]), await trader(host, keys[1])];
    const { yes } = await market(maker);
    for (const [price, amount, shares] of [[0.52, 10, 19.230769], [0.57, 7.33, 12.859649], [0.03, 1.01, 33.666666]]) {
      await resting(maker, yes, SELL, price, 50);
      const answer = await take(taker, yes, BUY, amount, price, FOK);
      assert.equal(answer.status, "matched", JSON.stringify(answer));
      assert.equal(Number(answer.takingAmount), shares);
      assert.ok(amount - Number(answer.makingAmount) < 0.000002, JSON.stringify(answer)); // what no 0.000001 share buys
      await maker.cancelAll();
    }
  },

  async whole_balance({ host, keys }) {
    // the client cuts a market BUY by the fee of the whole, so that what the exchange books still fits
    const [maker, taker] = [await trader(host, keys[0]), await trader(host, keys[1])];
    const { yes, no } = await market(maker);
    await resting(maker, no, BUY, 0.5, 1600);
    assert.equal(await held(taker), 800_000_000);
    refused(await take(taker, yes, BUY, 800, 0.5, FOK), 400, "order amount (inc. fees): 816000000");
    const order = { tokenID: yes, side: BUY, amount: 800, price: 0.5, userUSDCBalance: 800 };
    const answer = await taker.createAndPostMarketOrder(order, undefined, FOK);
    assert.deepEqual([answer.status, answer.makingAmount, answer.takingAmount], ["matched", "784", "1568"]);
    assert.equal(await held(taker), 800_000_000 - 784_000_000 - 15_680_000); // 1568 x 0.04 x 0.5 x 0.5
  },

  async neg_risk({ recorded, keys: [key] }) {
    const client = await trader(recorded, key);
    const { yes, no } = await market(client);
    assert.deepEqual([await client.getNegRisk(yes), await client.getTickSize(yes)], [true, "0.001"]);
    const book = await client.getOrderBook(yes);
    const { hash } = book;
    assert.equal(await client.getOrderBookHash(book), hash);
    assert.deepEqual(book.bids.at(-1), { price: "0.98", size: "13016.36" });
    assert.deepEqual((await client.getOrderBook(no)).asks.at(-1), { price: "0.02", size: "13016.36" });
    const id = await resting(client, yes, BUY, 0.955, 10);
    assert.equal((await client.getOrder(id)).price, "0.955");
    assert.deepEqual((await client.cancelAll()).canceled, [id]);
    const bought = await take(client, no, BUY, 5, undefined, FOK);
    assert.deepEqual([bought.status, bought.makingAmount, bought.takingAmount], ["matched", "5", "250"]);
    assert.equal((await take(client, yes, SELL, 10.5, 0.98, FAK)).takingAmount, "10.29");
    // 10 / 0.981 has a fifth decimal, which this client signs and the venue does not take (py-clob-client-v2 issue 99)
    refused(await take(client, yes, BUY, 10, 0.981, FOK), 400, "taker amount a max of 4 decimals");
    const standard = await client.createOrder({ tokenID: yes, side: BUY, price: 0.5, size: 10 }, { negRisk: false });
    refused(await client.postOrder(standard), 400, "invalid signature");
  },

  async minted_and_merged({ host, keys }) {
    // buyers of both outcomes: a set is made; sellers of both: a set is dissolved
    const [maker, taker] = [await trader(host, keys[0]), await trader(host, keys[1])];
    const { yes, no } = await market(maker);
    const bid = await resting(maker, no, BUY, 0.4, 10);
    const bought = await limit(taker, yes, BUY, 0.6, 10);
    assert.deepEqual([bought.status, bought.makingAmount, bought.takingAmount], ["matched", "6", "10"]);
    assert.deepEqual([await held(maker, no), await held(taker, yes)], [210_000_000, 210_000_000]);
    const [trade] = await taker.getTrades();
    assert.deepEqual([trade.asset_id, trade.side, trade.price], [yes, "BUY", "0.6"]);
    assert.deepEqual(trade.maker_orders.map((order) => [order.asset_id, order.side, order.price]), [[no, "BUY", "0.4"]]);
    const [seen] = await maker.getTrades();
    assert.deepEqual([seen.id, seen.asset_id, seen.maker_orders[0].order_id], [trade.id, yes, bid]);
    await resting(maker, no, SELL, 0.7, 10);
    const sold = await limit(taker, yes, SELL, 0.3, 10);
    assert.deepEqual([sold.status, sold.makingAmount, sold.takingAmount], ["matched", "10", "3"]);
    assert.deepEqual([await held(maker, no), await held(taker, yes)], [200_000_000, 200_000_000]);
  },

  async post_only_and_gtd({ host, keys }) {
    const [maker, client] = [await trader(host, keys[0]), await trader(host, keys[1])];
    const { yes } = await market(client);
    await resting(maker, yes, SELL, 0.5, 20);
    refused(await limit(client, yes, BUY, 0.5, 10, GTC, {}, true), 400, "invalid post-only order: order crosses book");
    const passive = await resting(client, yes, BUY, 0.49, 10, GTC, {}, true);
    await assert.rejects(client.postOrder({}, FOK, true), /postOnly is not supported for FOK\/FAK orders/);
    const expiration = Math.floor(Date.now() / 1000) + 300;
    const timed = await client.getOrder(await resting(client, yes, BUY, 0.48, 10, GTD, { expiration }, true));
    assert.deepEqual([timed.order_type, timed.status, timed.expiration], ["GTD", "LIVE", String(expiration)]);
    refused(await limit(client, yes, BUY, 0.48, 10, GTD, { expiration: expiration - 240 }), 400, "invalid expiration");
    refused(await limit(client, yes, BUY, 0.48, 10, GTC, { expiration }), 400, "invalid expiration");
    assert.deepEqual((await client.cancelAll()).canceled, [passive, timed.id]);
    await maker.cancelAll();
  },

  async batches({ host, keys }) {
    const [maker, client] = [await trader(host, keys[0]), await trader(host, keys[1])];
    const { condition, yes } = await market(client);
    const signed = (side, price, size, more) => client.createOrder({ tokenID: yes, side, price, size, ...more });
    await resting(maker, yes, SELL, 0.5, 20);
    const expiration = Math.floor(Date.now() / 1000) + 300;
    const answers = await client.postOrders([
      { order: await signed(BUY, 0.02, 10), orderType: GTC },
      { order: await signed(BUY, 0.03, 1), orderType: GTC },
      { order: await signed(BUY, 0.04, 10, { expiration }), orderType: GTD },
      { order: await signed(BUY, 0.5, 5), orderType: GTC },
      { order: await client.createMarketOrder({ tokenID: yes, side: BUY, amount: 2.5, price: 0.5 }), orderType: FAK },
    ]);
    assert.deepEqual(answers.map((answer) => answer.status), ["live", "", "live", "matched", "matched"]);
    assert.ok(answers[1].errorMsg.includes("lower than the minimum: 5"), answers[1].errorMsg);
    assert.equal(answers[1].orderID, "");
    assert.deepEqual([answers[4].makingAmount, answers[4].takingAmount], ["2.5", "5"]);
    assert.equal(answers[4].transactionsHashes.length, 1);
    const crossing = await client.postOrders([{ order: await signed(BUY, 0.5, 5), orderType: GTC }], true);
    assert.equal(crossing[0].errorMsg, "invalid post-only order: order crosses book");
    const order = await signed(BUY, 0.02, 10);
    const many = Array.from({ length: 16 }, () => ({ order, orderType: GTC }));
    refused(await client.postOrders(many), 400, "Too many orders in payload: 16, max allowed: 15");
    const most = await Promise.all(Array.from({ length: 15 }, (_, at) => signed(BUY, (at + 1) / 100, 5)));
    const posted = await client.postOrders(most.map((one) => ({ order: one, orderType: GTC })));
    assert.deepEqual(new Set(posted.map((answer) => answer.status)), new Set(["live"]));
    const left = [answers[0], answers[2], ...posted].map((answer) => answer.orderID);
    assert.deepEqual((await client.cancelMarketOrders({ market: condition, asset_id: yes })).canceled.sort(), left.sort());
    await maker.cancelAll();
  },

  async wallets({ host, keys: [key], wallets }) {
    for (const [signatureType, funderAddress] of wallets) {
      const client = await trader(host, key, { signatureType, funderAddress });
      const { yes } = await market(client);
      const row = await client.getOrder(await resting(client, yes, BUY, 0.02, 10));
      assert.equal(row.maker_address.toLowerCase(), funderAddress.toLowerCase());
      assert.ok((await held(client)) > 0);
      assert.deepEqual((await client.cancelAll()).canceled, [row.id]);
    }
    const foreign = await trader(host, key, { signatureType: wallets[0][0], funderAddress: "0x" + "12".repeat(20) });
    const { yes } = await market(foreign);
    const answer = await limit(foreign, yes, BUY, 0.02, 10);
    assert.equal(answer.status, 400, JSON.stringify(answer));
  },

  async refusals({ host, keys }) {
    const [client, other] = [await trader(host, keys[0]), await trader(host, keys[1])];
    const { yes } = await market(client);
    const signed = (price, size, options) => client.createOrder({ tokenID: yes, side: BUY, price, size }, options);
    refused(await limit(client, yes, BUY, 0.02, 2), 400, "lower than the minimum: 5");
    refused(await limit(client, yes, BUY, 0.5, 5_000), 400, "not enough balance / allowance");
    refused(await limit(client, "12345", BUY, 0.5, 10, GTC).catch((error) => ({ status: 404, error: String(error) })), 404, "");
    const order = await signed(0.02, 10);
    const placed = await client.postOrder(order);
    assert.equal(placed.status, "live");
    refused(await client.postOrder(order), 400, `order ${placed.orderID} is invalid. Duplicated.`);
    refused(await other.postOrder(await signed(0.03, 10)), 400, "the order signer address has to be the address of the API KEY");
    const forged = { ...(await signed(0.02, 10)), signature: "0x" + randomBytes(64).toString("hex") + "1b" };
    refused(await client.postOrder(forged), 400, "invalid signature");
    refused(await client.postOrder({ ...(await signed(0.02, 10)), makerAmount: "210000" }), 400, "");
    refused(await client.postOrder(await signed(0.02, 10, { negRisk: true })), 400, "invalid signature");
    refused(await client.postOrder(await signed(0.02, 10, { version: 1 })), 400, "order_version_mismatch");
    client.tickSizes[yes] = "0.001"; // a cache that is wrong: nothing in the client stops it
    refused(await client.postOrder(await signed(0.125, 10)), 400, "Price (0.125) breaks minimum tick size rule: 0.01");
    assert.equal(await other.getOrder(placed.orderID), null);
    assert.deepEqual(await other.getOpenOrders(), []);
    assert.deepEqual((await other.cancelOrder({ orderID: placed.orderID })).canceled, []);
    assert.deepEqual((await other.cancelAll()).canceled, []);
    assert.deepEqual((await client.cancelAll()).canceled, [placed.orderID]);
  },

  async heartbeats({ host, keys: [key] }) {
    const client = await trader(host, key);
    const first = await client.postHeartbeat();
    const second = await client.postHeartbeat(first.heartbeat_id);
    assert.ok(first.heartbeat_id && second.heartbeat_id);
    const wrong = await client.postHeartbeat("no such beat");
    assert.equal(wrong.status, 400, JSON.stringify(wrong));
    assert.equal(wrong.heartbeat_id, second.heartbeat_id); // the one it should have been
  },
};

const [name, parameters] = process.argv.slice(2);
if (name === "--list") {
  console.log(Object.keys(scenes).join("\n"));
} else {
  try {
    await scenes[name](JSON.parse(parameters));
  } finally {
    await leave();
  }
  console.log(`${name}: passed`);
}
