import numpy as np
import pytest

from execsim.core.errors import ConfigError
from execsim.tape.check import check_tape
from execsim.tape.schema import Flag, Kind
from execsim.tape.store import load_manifest
from execsim.tape.synth import Synth, synthetic_rows, synthetic_tape, write_synthetic


def walk(columns):
    """Replay rows against dicts of levels, asserting every promise of the module; returns how often each kind came."""
    names = ("ts_venue_ns", "kind", "side", "price_i", "size_i", "aggressor")
    bids, asks, caused, counts = {}, {}, None, dict.fromkeys(Kind, 0)
    for ts, kind, side, price, size, aggressor in zip(*(columns[name].tolist() for name in names), strict=True):
        counts[Kind(kind)] += 1
        if kind == Kind.TRADE:
            assert price == (min(asks) if aggressor > 0 else max(bids))
            assert side == 0
            assert size > 0
            caused = (ts, -aggressor, price, (asks if aggressor > 0 else bids)[price] - size)
            continue
        if caused is not None:
            assert (ts, side, price, size) == caused
            caused = None
        book = bids if side > 0 else asks
        assert book.get(price, 0) != size, "a level row changes its level"
        assert 0 < price < 10_000
        assert price % 100 == 0
        if size:
            book[price] = size
        else:
            del book[price]
        if kind == Kind.LEVEL:
            assert max(bids) < min(asks)
    assert caused is None
    return counts


@pytest.mark.parametrize("seed", [0, 7, 2**63])
def test_the_book_is_sound_and_every_trade_is_followed_by_its_level(seed):
    synth = Synth(seed=seed, rows=20_000)
    columns = synthetic_rows(synth)
    assert {len(column) for column in columns.values()} == {20_000}
    counts = walk(columns)
    assert counts[Kind.SNAPSHOT] == 80
    assert 0.04 < counts[Kind.TRADE] / 20_000 < 0.06
    assert (np.diff(columns["ts_venue_ns"]) >= 0).all()
    assert (np.diff(columns["ts_recv_ns"]) >= 0).all()
    assert (columns["ts_recv_ns"] - columns["ts_venue_ns"] >= synth.delay_min_ns).all()
    assert columns["flags"][0] == Flag.FIRST
    assert columns["flags"][79] == Flag.LAST


@pytest.mark.parametrize("changes", [{"trade_share": 512, "cancel_share": 0}, {"cancel_share": 512, "trade_share": 0}])
def test_the_book_stays_sound_under_extreme_shares(changes):
    walk(synthetic_rows(Synth(rows=5_000, size=100, **changes)))


def test_one_seed_gives_the_same_tape_on_every_machine(tmp_path):
    manifest = write_synthetic(tmp_path / "a", Synth(seed=7, rows=1_000))
    assert manifest.data_sha256 == GOLDEN, "new rows need a new SYNTH_VERSION and a new golden hash"
    assert write_synthetic(tmp_path / "b", Synth(seed=8, rows=1_000)).data_sha256 != GOLDEN


GOLDEN = "71b50c6ed2117cb481b78cddf02dd7d9ede7fc5480215ef6cfb852bd0489d4c8"


def test_a_synthetic_tape_needs_no_repair_and_passes_the_check(tmp_path):
    write_synthetic(tmp_path / "t", Synth(rows=10_000))
    report = check_tape(tmp_path / "t")
    assert report.ok
    assert (report.rows, report.defects, report.duplicates) == (10_000, {}, 0)
    assert set(report.grades) - {grade for grade, n in report.grades.items() if n} == {"B", "C", "F"}
    assert (report.coverage, report.markets[0].locked_moments) == ("1", 0)


def test_a_synthetic_tape_is_cached_by_its_parameters(tmp_path):
    path = synthetic_tape(7, 500, {}, tmp_path)
    made = (path / "manifest.json").stat().st_mtime_ns
    assert synthetic_tape(7, 500, {"market": "synthetic"}, tmp_path) == path
    assert (path / "manifest.json").stat().st_mtime_ns == made
    other = synthetic_tape(7, 500, {"market": "m2", "venue": "v2"}, tmp_path)
    market = load_manifest(other).markets[0]
    assert other != path
    assert (market.market, market.venue, market.yes_token, market.rows) == ("m2", "v2", "m2-yes", 500)


@pytest.mark.parametrize(
    ("rows", "options", "said"),
    [
        (500, {"sized": 3}, "no option 'sized'; known options: cancel_share, delay_max_ns"),
        (500, {"size": 1.5}, "size 1.5; must be a whole number"),
        (500, {"trade_share": 400, "cancel_share": 200}, "must not exceed 512"),
        (500, {"delay_min_ns": 20_000_000}, "0 < min <= max"),
        (100, {}, "at least 200 rows"),
    ],
)
def test_a_wrong_parameter_is_named(tmp_path, rows, options, said):
    with pytest.raises(ConfigError, match=said):
        synthetic_tape(7, rows, options, tmp_path)
    assert list(tmp_path.iterdir()) == []
