"""The three formats of design.md §10, and every way to get them wrong."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
import tomli_w
import yaml

from execsim.core.errors import ConfigError
from execsim.engine import (
    DailyLoss,
    InventoryLimit,
    KillSwitch,
    MaxDrawdown,
    MaxNotional,
    MaxOpenOrders,
    MaxOrderSize,
    MaxOutcomeLoss,
    OrderRate,
    PositionLimit,
    PriceBand,
    StaleData,
    VenueHealth,
)
from execsim.engine.policies import POLICIES
from execsim.scenario.policies import load_policies, parse_policies, policies_of

YAML = """
policies:
  - {type: PositionLimit, market_id: "0x123abc", max_size: 1000.0}   # as in the design
  - {type: InventoryLimit, max_value_usd: 10000.0}
  - {type: KillSwitch, enabled: false}
"""
TOML = """
[[policies]]
type = "PositionLimit"
market_id = "0x123abc"
max_size = 1000.0
[[policies]]
type = "InventoryLimit"
max_value_usd = 10000
[[policies]]
type = "KillSwitch"
"""
JSON = """{"policies": [
  {"type": "PositionLimit", "market_id": "0x123abc", "max_size": "1000"},
  {"type": "InventoryLimit", "max_value_usd": 1e4},
  {"type": "KillSwitch", "enabled": false}]}"""

EXPECTED = [PositionLimit(1000, "0x123abc"), InventoryLimit(10_000), KillSwitch(False)]


@pytest.mark.parametrize(("suffix", "text"), [("yaml", YAML), ("yml", YAML), ("toml", TOML), ("json", JSON)])
def test_three_formats_say_the_same(tmp_path, suffix, text):
    path = tmp_path / f"risk.{suffix}"
    path.write_text(text)
    assert load_policies(path) == EXPECTED
    assert load_policies(str(path)) == EXPECTED


@pytest.mark.parametrize(
    ("format", "text"),
    [
        ("yaml", "policies: [{type: PositionLimit, max_size: 0.1}]"),
        ("toml", "policies = [{type = 'PositionLimit', max_size = 0.1}]"),
        ("json", '{"policies": [{"type": "PositionLimit", "max_size": 0.1}]}'),
    ],
)
def test_a_tenth_is_a_tenth(format, text):
    [policy] = parse_policies(text, format)
    assert policy.max_size == Decimal("0.1")
    assert policy.market_id is None


BAD = {
    "unknown type": (
        "policies: [{type: KillSwitch}, {type: Stop}]",
        r"policies\[1\]: unknown type 'Stop'; known types:",
    ),
    "no type": ("policies: [{max_size: 1}]", r"policies\[0\] has no `type`; one of: PositionLimit, InventoryLimit"),
    "unknown key": ("policies: [{type: KillSwitch, on: true}]", r"policies\[0\]\..*; KillSwitch takes: type, enabled"),
    "missing": ("policies: [{type: PositionLimit}]", r"policies\[0\]\.max_size: Field required"),
    "text": ("policies: [{type: PositionLimit, max_size: lots}]", r"max_size: .*'lots' is not a number"),
    "negative": ("policies: [{type: InventoryLimit, max_value_usd: -1}]", r"max_value_usd: .*cannot be negative"),
    "infinite": ("policies: [{type: InventoryLimit, max_value_usd: .inf}]", "not a finite number"),
    "bool": ("policies: [{type: InventoryLimit, max_value_usd: true}]", "is not a number"),
    "yaml reads hex": (
        "policies: [{type: PositionLimit, max_size: 1, market_id: 0x1f}]",
        r"market_id: .*put the id in quotes: YAML reads it as the number 31",
    ),
    "not bool": ("policies: [{type: KillSwitch, enabled: 1}]", r"policies\[0\]\.enabled"),
    "not a mapping": ("policies: [KillSwitch]", r"policies\[0\] is 'KillSwitch'; it must be a mapping"),
    "not a list": ("policies: {type: KillSwitch}", "it must be a list"),
    "no such action": (
        "policies: [{type: PositionLimit, max_size: 1, action: stop}]",
        r"policies\[0\]\.action: .*; one of: reject, reduce_only, halt, halt_and_cancel",
    ),
    "a switch has no action": (
        "policies: [{type: KillSwitch, action: halt}]",
        "KillSwitch takes: type, enabled, market_id",
    ),
    "half an order": ("policies: [{type: MaxOpenOrders, max_orders: 2.5}]", r"max_orders: .*; MaxOpenOrders takes:"),
    "no order": (
        "policies: [{type: OrderRate, max_orders: 0}]",
        "max_orders: Input should be greater than or equal to 1",
    ),
    "no window": (
        "policies: [{type: OrderRate, max_orders: 1, per_s: 0}]",
        r"policies\[0\]: OrderRate.per_s is 0; give sec",
    ),
    "no width": ("policies: [{type: PriceBand}]", r"policies\[0\]: PriceBand has no width; give max_distance"),
    "never stale": ("policies: [{type: StaleData, max_age_s: 0}]", r"policies\[0\]: StaleData.max_age_s is 0"),
    "another key": ("rules: []", "expected one key, `policies`"),
    "nothing": ("", "expected one key, `policies`"),
    "no yaml": ("policies: [", "not valid YAML"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_mistakes_name_file_and_place(tmp_path, text, message):
    path = tmp_path / "risk.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_policies(path)
    assert str(caught.value).startswith(str(path))


EVERY = """
policies:
  - {type: PositionLimit, max_size: 1000, action: reduce_only}
  - {type: InventoryLimit, max_value_usd: 1, market_id: rain}
  - {type: KillSwitch, market_id: rain}
  - {type: MaxOrderSize, max_size: 0.1, market_id: rain, action: reject}
  - {type: MaxNotional, max_value_usd: 25.50}
  - {type: MaxOpenOrders, max_orders: 20}
  - {type: OrderRate, max_orders: 10, per_s: 0.5}
  - {type: PriceBand, max_distance: 0.05, max_percent: 10}
  - {type: MaxDrawdown, max_loss_usd: 500, action: halt_and_cancel}
  - {type: DailyLoss, max_loss_usd: 250, action: halt}
  - {type: MaxOutcomeLoss, max_loss_usd: 100}
  - {type: StaleData, max_age_s: 5, gaps: false}
  - {type: VenueHealth, market_id: rain}
"""


def test_every_type_is_read_from_every_format():
    policies = parse_policies(EVERY, "yaml")
    assert [type(policy) for policy in policies] == list(POLICIES)
    assert policies == [
        PositionLimit(1000, action="reduce_only"),
        InventoryLimit(1, "rain"),
        KillSwitch(market_id="rain"),
        MaxOrderSize("0.1", "rain"),
        MaxNotional("25.5"),
        MaxOpenOrders(20),
        OrderRate(10, "0.5"),
        PriceBand("0.05", 10),
        MaxDrawdown(500, action="halt_and_cancel"),
        DailyLoss(250, action="halt"),
        MaxOutcomeLoss(100),
        StaleData(5, gaps=False),
        VenueHealth("rain"),
    ]
    data = yaml.safe_load(EVERY)
    assert parse_policies(json.dumps(data), "json") == policies
    assert parse_policies(tomli_w.dumps(data), "toml") == policies


def test_files_that_are_not_there_or_of_no_format(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read"):
        load_policies(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match=r"unknown suffix '\.ini'; one of: \.yaml"):
        load_policies(tmp_path / "risk.ini")
    for format, text in (("json", "{"), ("toml", "x")):
        with pytest.raises(ConfigError, match=f"not valid {format.upper()}"):
            parse_policies(text, format)
    with pytest.raises(ConfigError, match="unknown format 'xml'"):
        parse_policies("", "xml")


def test_a_scenarios_own_section():
    assert policies_of(None) == []
    assert policies_of([{"type": "KillSwitch", "enabled": True}], "demo.toml") == [KillSwitch(True)]
    with pytest.raises(ConfigError, match=r"demo\.toml: policies\[0\]"):
        policies_of([{"type": "Nothing"}], "demo.toml")
