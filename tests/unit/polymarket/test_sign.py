"""Signatures and hashes, byte for byte as the official clients make them, and what must not pass as one."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from eth_account import Account as Referee
from hypothesis import given
from hypothesis import strategies as st
from polymarket_golden import DATA, Case, fields_of, load, order_cases, wire_order

from execsim.core.errors import ConfigError, ValidationError
from execsim.core.order import Side
from execsim_polymarket.curve import ORDER, Coincurve, EthKeys, address_of, recover
from execsim_polymarket.domains import AMOY, POLYGON, Exchange, exchange, exchange_for, is_position_id, login_separator
from execsim_polymarket.legacy import NEG_RISK, STANDARD, LegacyFields
from execsim_polymarket.orders import ORDER_TYPE, OrderFields, SignatureType, envelope_digest, order_id
from execsim_polymarket.sign import SALT_MAX, Account, PrivateKey
from execsim_polymarket.verify import DEPOSIT_SIGNATURE_BYTES, is_signed, owns_maker, signer_of
from execsim_polymarket.wallets import deposit_wallet, proxy_wallet, safe_wallet, wallet_kind

ROOT = DATA.parents[1]
CASES = order_cases()
KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
EOA = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
ONE_OF_EACH = [next(case for case in CASES if case["input"]["signature_type"] == kind) for kind in range(4)]


def account_of(case: Case) -> Account:
    given = case["input"]
    return Account(
        PrivateKey(given["private_key"]), given["funder"], SignatureType(given["signature_type"]), given["chain_id"]
    )


def exchange_of(case: Case) -> Exchange:
    given = case["input"]
    return exchange_for(fields_of(case).token_id, neg_risk=given["neg_risk"], chain_id=given["chain_id"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_an_order_is_signed_as_the_official_clients_sign_it(case: Case) -> None:
    fields, market = fields_of(case), exchange_of(case)
    assert market.contract == case["domain"]["verifyingContract"]
    assert market.version == case["domain"]["version"]
    if "struct_hash" in case:
        assert "0x" + market.separator.hex() == case["domain_separator"]
        assert "0x" + fields.struct_hash().hex() == case["struct_hash"]
    account = account_of(case)
    signed = account.order(
        side=fields.side, token_id=fields.token_id, maker_amount=fields.maker_amount, taker_amount=fields.taker_amount,
        salt=fields.salt, timestamp_ms=fields.timestamp_ms, neg_risk=case["input"]["neg_risk"],
        metadata=fields.metadata, builder=fields.builder,
    )  # fmt: skip
    assert signed.fields == fields  # maker and signer too: the account knows who stands in the order
    if "order_hash" in case:
        assert signed.order_id_hex == case["order_hash"]
    assert signed.signature_hex == case["signature"] == wire_order(case)["signature"]
    assert is_signed(fields, signed.signature, market, account.key.address)
    if fields.signature_type is SignatureType.DEPOSIT:
        assert len(signed.signature) == DEPOSIT_SIGNATURE_BYTES
        signed_digest = envelope_digest(fields.struct_hash(), market, fields.signer)
    else:
        signed_digest = signed.order_id
    assert "0x" + signed_digest.hex() == case["signed_digest"]


@pytest.mark.parametrize("case", load("orders_limit_v1")["cases"], ids=lambda case: case["id"])
def test_orders_of_the_dead_version_are_known(case: Case) -> None:
    message, market = case["message"], NEG_RISK if case["input"]["neg_risk"] else STANDARD
    fields = LegacyFields(
        int(message["salt"]), message["maker"], message["signer"], message["taker"], int(message["tokenId"]),
        int(message["makerAmount"]), int(message["takerAmount"]), int(message["expiration"]), int(message["nonce"]),
        int(message["feeRateBps"]), Side.SELL if message["side"] == "1" else Side.BUY, int(message["signatureType"]),
    )  # fmt: skip
    assert "0x" + market.separator.hex() == case["domain_separator"]
    assert "0x" + fields.struct_hash().hex() == case["struct_hash"]
    name = order_id(fields.struct_hash(), market)
    assert "0x" + name.hex() == case["order_hash"]
    assert "0x" + PrivateKey(case["input"]["private_key"]).sign(name).hex() == case["signature"]


def test_separators_and_the_type_of_the_sheet() -> None:
    assert len(ORDER_TYPE) == 186
    for market, separator in (
        (exchange(POLYGON), "3264e159346253e26a64e00b69032db0e7d32f94628de3e6eecb50304d7af3d2"),
        (exchange(POLYGON, neg_risk=True), "9b858f53327b0bd13af8ec14cfb35234fb9eb7b0504d1a4e61f433840d30e81a"),
        (exchange(POLYGON, v3=True), "466c63910185bbd55e8679264200c4e0abdcbb0c6264eb3d41d13326022e095b"),
    ):
        assert market.separator.hex() == separator
    assert login_separator(POLYGON).hex() == "cfc66be2a3b30464cb3b588324101f660c9a205fa76e8e5f83ee16a528e1c4cb"
    assert exchange(AMOY, v3=True).contract == "0x9fE6e61422AdB6F610d8597F9684b16912D50C3D"
    with pytest.raises(ConfigError, match="chain id 1"):
        exchange(1)


@pytest.mark.parametrize("case", load("orders_v3")["cases"], ids=lambda case: case["id"])
def test_a_position_id_is_told_from_a_token(case: Case) -> None:
    assert is_position_id(int(case["input"]["position_id"]))
    assert exchange_for(int(case["input"]["position_id"]), neg_risk=True).version == "3"


def test_no_token_of_the_vectors_is_taken_for_a_position() -> None:
    tokens = {int(case["input"]["token_id"]) for case in CASES if case["input"].get("token_id")}
    assert len(tokens) == 9
    assert not any(map(is_position_id, tokens))


@pytest.mark.parametrize("case", load("wallet_derivation")["cases"], ids=lambda case: case["eoa"])
def test_wallets_follow_from_the_key(case: dict[str, str]) -> None:
    eoa = PrivateKey(case["private_key"]).address
    assert eoa == case["eoa"]
    assert proxy_wallet(eoa) == case["proxy"]
    assert safe_wallet(eoa) == case["safe"]
    assert deposit_wallet(eoa, beacon=False) == case["deposit_wallet_uups"]
    assert deposit_wallet(eoa, beacon=True) == case["deposit_wallet_beacon"]
    for name, kind in (
        ("eoa", SignatureType.EOA), ("proxy", SignatureType.PROXY), ("safe", SignatureType.SAFE),
        ("deposit_wallet_uups", SignatureType.DEPOSIT), ("deposit_wallet_beacon", SignatureType.DEPOSIT),
    ):  # fmt: skip
        assert wallet_kind(eoa, case[name].lower()) is kind
        assert Account(PrivateKey(case["private_key"]), case[name]).kind is kind


def test_a_wallet_of_somebody_else_needs_its_signature_type() -> None:
    other = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
    assert wallet_kind(EOA, other) is None
    with pytest.raises(ConfigError, match="not one that 0xf39F"):
        Account(PrivateKey(KEY), other)
    with pytest.raises(ConfigError, match="its own money"):
        Account(PrivateKey(KEY), other, SignatureType.EOA)
    account = Account(PrivateKey(KEY), other, SignatureType.DEPOSIT)
    assert (account.funder, account.signer) == (other, other)
    assert Account(PrivateKey(KEY), other, SignatureType.SAFE).signer == EOA


# what must not pass


@pytest.mark.parametrize("case", ONE_OF_EACH, ids=lambda case: case["id"])
def test_one_flipped_bit_of_a_signature_is_seen(case: Case) -> None:
    fields, market, eoa = fields_of(case), exchange_of(case), case["input"]["signer_eoa"]
    signature = bytes.fromhex(case["signature"][2:])
    assert is_signed(fields, signature, market, eoa)
    for bit in range(len(signature) * 8):
        changed = bytearray(signature)
        changed[bit // 8] ^= 1 << bit % 8
        assert not is_signed(fields, bytes(changed), market, eoa), bit
    assert not is_signed(fields, signature[:-1], market, eoa)
    assert not is_signed(fields, signature + b"\0", market, eoa)
    assert not is_signed(fields, b"", market, eoa)


@pytest.mark.parametrize("case", ONE_OF_EACH, ids=lambda case: case["id"])
def test_a_changed_field_is_seen(case: Case) -> None:
    fields, market, eoa = fields_of(case), exchange_of(case), case["input"]["signer_eoa"]
    signature = bytes.fromhex(case["signature"][2:])
    elsewhere = "0x" + "12" * 20
    changes: dict[str, Any] = {
        "salt": fields.salt + 1, "maker": elsewhere, "signer": elsewhere, "token_id": fields.token_id ^ 1,
        "maker_amount": fields.maker_amount + 1, "taker_amount": fields.taker_amount - 1, "side": fields.side.other,
        "signature_type": SignatureType((fields.signature_type + 1) % 3), "timestamp_ms": fields.timestamp_ms + 1,
        "metadata": b"\1" * 32, "builder": b"\1" * 32,
    }  # fmt: skip
    for name, value in changes.items():
        values = {key: getattr(fields, key) for key in OrderFields.__dataclass_fields__} | {name: value}
        assert not is_signed(OrderFields(**values), signature, market, eoa), name
    assert len(changes) == len(OrderFields.__dataclass_fields__)
    assert not is_signed(fields, signature, market, elsewhere)


@pytest.mark.parametrize("case", ONE_OF_EACH, ids=lambda case: case["id"])
def test_a_signature_holds_for_one_exchange_only(case: Case) -> None:
    fields, eoa, signature = fields_of(case), case["input"]["signer_eoa"], bytes.fromhex(case["signature"][2:])
    here = exchange_of(case)
    others = {exchange(POLYGON), exchange(POLYGON, neg_risk=True), exchange(POLYGON, v3=True), exchange(AMOY)} - {here}
    assert len(others) >= 3
    assert not any(is_signed(fields, signature, there, eoa) for there in others)


def test_the_second_form_of_a_signature_is_refused() -> None:
    """(r, n - s, other v) recovers to the same key, but neither the contract nor we take it."""
    key, digest = PrivateKey(KEY), bytes(range(32))
    signature = key.sign(digest)
    assert recover(digest, signature) == bytes.fromhex(EOA[2:])
    s = ORDER - int.from_bytes(signature[32:64], "big")
    twin = signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])
    assert Referee._recover_hash(digest, signature=twin) == EOA
    assert recover(digest, twin) is None


def test_a_deposit_wallet_is_its_own_signer() -> None:
    """An order that names another contract as signer, or an EOA that trades another's money, is not signed by the owner."""
    key, wallet = PrivateKey(KEY), deposit_wallet(EOA, beacon=True)
    account, market = Account(key, wallet), exchange(POLYGON)
    fields = OrderFields(1, safe_wallet(EOA), wallet, 2**200 + 5, 1, 1, Side.BUY, SignatureType.DEPOSIT, 1)
    signed = account.sign(fields, market)
    assert signer_of(fields, signed.signature, market) == EOA
    assert not is_signed(fields, signed.signature, market, EOA)
    foreign = OrderFields(1, wallet, EOA, 2**200 + 5, 1, 1, Side.BUY, SignatureType.EOA, 1)
    assert not is_signed(foreign, account.sign(foreign, market).signature, market, EOA)
    assert not owns_maker(foreign, EOA)
    assert owns_maker(OrderFields(1, wallet, wallet, 5, 1, 1, Side.BUY, SignatureType.DEPOSIT, 1), EOA)


# the key


def test_a_key_does_not_show_itself() -> None:
    key = PrivateKey(KEY)
    account = Account(key)
    for text in (repr(key), str(key), f"{key}", repr(account), repr([key]), repr(account.login_headers(1))):
        assert KEY[2:] not in text
        assert EOA in text
    assert not hasattr(key, "__dict__")
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            attempt(key)


@pytest.mark.parametrize("wrong", ["", "0x12", KEY[:-1], KEY + "0", "zz" * 32, bytes(32), ORDER.to_bytes(32, "big")])
def test_what_is_no_key_is_not_repeated_in_the_message(wrong: str | bytes) -> None:
    with pytest.raises(ValidationError) as caught:
        PrivateKey(wrong)
    assert str(wrong) == "" or str(wrong) not in str(caught.value)
    assert caught.value.rule == "private_key"


def test_a_key_may_be_given_without_its_prefix() -> None:
    assert PrivateKey(KEY[2:]).address == PrivateKey(bytes.fromhex(KEY[2:])).address == EOA


# referees

secrets = st.integers(1, ORDER - 1).map(lambda n: n.to_bytes(32, "big"))
uint256 = st.integers(0, 2**256 - 1)
words = st.binary(min_size=32, max_size=32)
addresses = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
struct = st.builds(
    OrderFields, st.integers(0, SALT_MAX), addresses, addresses, uint256, uint256, uint256, st.sampled_from(Side),
    st.sampled_from(SignatureType), st.integers(0, 2**64), words, words,
)  # fmt: skip


def typed_data(fields: OrderFields, market: Exchange) -> dict[str, Any]:
    """The order for eth-account, which reads its types from the text of the type."""
    names = [tuple(part.split()) for part in ORDER_TYPE.decode()[len("Order(") : -1].split(",")]
    contract = [("string", "name"), ("string", "version"), ("uint256", "chainId"), ("address", "verifyingContract")]
    kinds = {"EIP712Domain": contract, "Order": names}
    message = {
        "salt": fields.salt, "maker": fields.maker, "signer": fields.signer, "tokenId": fields.token_id,
        "makerAmount": fields.maker_amount, "takerAmount": fields.taker_amount, "side": int(fields.side is Side.SELL),
        "signatureType": int(fields.signature_type), "timestamp": fields.timestamp_ms, "metadata": fields.metadata,
        "builder": fields.builder,
    }  # fmt: skip
    domain = {
        "name": "Polymarket CTF Exchange", "version": market.version, "chainId": market.chain_id,
        "verifyingContract": market.contract,
    }  # fmt: skip
    types = {name: [{"name": field, "type": kind} for kind, field in parts] for name, parts in kinds.items()}
    if fields.signature_type is not SignatureType.DEPOSIT:
        return {"types": types, "primaryType": "Order", "domain": domain, "message": message}
    types["TypedDataSign"] = [
        {"name": "contents", "type": "Order"}, {"name": "name", "type": "string"}, {"name": "version", "type": "string"},
        {"name": "chainId", "type": "uint256"}, {"name": "verifyingContract", "type": "address"},
        {"name": "salt", "type": "bytes32"},
    ]  # fmt: skip
    envelope = {
        "contents": message, "name": "DepositWallet", "version": "1", "chainId": market.chain_id,
        "verifyingContract": fields.signer, "salt": bytes(32),
    }  # fmt: skip
    return {"types": types, "primaryType": "TypedDataSign", "domain": domain, "message": envelope}


@given(secrets, struct, st.sampled_from([exchange(POLYGON), exchange(POLYGON, v3=True), exchange(AMOY, neg_risk=True)]))
def test_eth_account_signs_the_same(secret: bytes, fields: OrderFields, market: Exchange) -> None:
    signed = Account(PrivateKey(secret)).sign(fields, market)
    referee = Referee.sign_typed_data(secret, full_message=typed_data(fields, market))
    assert signed.signature[:65] == referee.signature
    eoa = Referee.from_key(secret).address
    assert signer_of(fields, signed.signature, market) == eoa
    if fields.signature_type is not SignatureType.DEPOSIT:
        assert signed.order_id == referee.message_hash


@given(secrets, words)
def test_both_backends_sign_and_recover_the_same(secret: bytes, digest: bytes) -> None:
    fast, slow = Coincurve(), EthKeys()
    ours, theirs = fast.key(secret), slow.key(secret)
    assert ours.public == theirs.public
    signature = ours.sign(digest)
    assert signature == theirs.sign(digest)
    assert recover(digest, signature, fast) == recover(digest, signature, slow) == address_of(ours.public)


@given(words, st.binary(min_size=65, max_size=65))
def test_noise_is_no_signature_to_either(digest: bytes, noise: bytes) -> None:
    noise = noise[:64] + bytes([27 + noise[64] % 2])
    assert recover(digest, noise, Coincurve()) == recover(digest, noise, EthKeys())


def test_an_order_of_the_slow_backend_is_the_golden_one() -> None:
    case = ONE_OF_EACH[3]
    key = PrivateKey(case["input"]["private_key"], EthKeys())
    signed = Account(key, case["input"]["funder"]).sign(fields_of(case), exchange_of(case))
    assert signed.signature_hex == case["signature"]


def test_numbers_that_do_not_fit_are_errors() -> None:
    with pytest.raises(OverflowError):
        OrderFields(-1, EOA, EOA, 1, 1, 1, Side.BUY, SignatureType.EOA, 1).struct_hash()
    with pytest.raises(ValidationError, match="bytes32"):
        OrderFields(1, EOA, EOA, 1, 1, 1, Side.BUY, SignatureType.EOA, 1, b"x")
    with pytest.raises(ValidationError, match="wrong checksum"):
        OrderFields(1, EOA.replace("F", "f"), EOA, 1, 1, 1, Side.BUY, SignatureType.EOA, 1).struct_hash()
    for wrong in ("", "0x", EOA[:-1], "0x" + "g" * 40, EOA[2:]):
        with pytest.raises(ValidationError, match="not an address"):
            OrderFields(1, wrong, EOA, 1, 1, 1, Side.BUY, SignatureType.EOA, 1).struct_hash()


def test_the_vectors_are_many() -> None:
    assert len(CASES) == 135
    assert {json.dumps(case["input"], sort_keys=True) for case in CASES}.__len__() == 135


def test_the_program_in_the_docs_signs_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "polymarket.md").read_text(encoding="utf-8")
    program = page.partition("```python\n")[2].partition("```")[0]
    exec(compile(program, "docs/polymarket.md", "exec"), {})
    case = CASES[0]
    signed = Account(PrivateKey(KEY)).order(
        side=Side.BUY, token_id=int(case["input"]["token_id"]), maker_amount=5_000_000, taker_amount=10_000_000,
        salt=int(case["input"]["salt"]), timestamp_ms=int(case["input"]["timestamp_ms"]), neg_risk=False,
    )  # fmt: skip
    assert capsys.readouterr().out.split() == [signed.order_id_hex, "65"]
    assert signed.fields.token_id == fields_of(case).token_id
