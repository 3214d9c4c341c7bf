import sys
import threading
from pathlib import Path
from types import MappingProxyType

import pytest

from execsim.core.errors import ConfigError, DataError
from execsim.tape.imports import cache_root, cached_tape, find_importer, import_tape, source_files
from execsim.tape.schema import COLUMNS, MarketInfo, SourceInfo
from execsim.tape.store import ROWS_FILE, hash_file, load_manifest

T0 = 1_700_000_000_000_000_000


class Numbers:
    """An importer of text files of one price a line."""

    version = 1
    options = MappingProxyType({"lot": "size of a lot (1)"})

    def __init__(self, name="numbers", ending=".txt"):
        self.name = name
        self.ending = ending
        self.runs = 0

    def sniff(self, path):
        return path.name.endswith(self.ending)

    def run(self, sources, options, sink):
        self.runs += 1
        market = sink.market(MarketInfo("m", "v", "spot", "1", str(options.get("lot", 1)), "b", "q", "1", "1"))
        for path in sources:
            source = sink.source(SourceInfo(path.name, "", 0))
            prices = path.read_text().split()
            if "bad" in prices:
                raise DataError(f"{path}: line {prices.index('bad') + 1}", "not a number", "")
            n = len(prices)
            columns = {name: [1] * n for name in COLUMNS if name != "seq"}
            columns |= {"price_i": [int(p) for p in prices], "market": [market] * n}
            columns |= {"ts_venue_ns": [T0 + i for i in range(n)], "ts_recv_ns": [T0 + 9_000 + i for i in range(n)]}
            sink.rows(source, columns)


@pytest.fixture
def files(tmp_path):
    for name, text in (("a.txt", "1 2 3"), ("b.txt", "4 5"), (".hidden", "x")):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_text(text)
    return [tmp_path / "in" / "a.txt", tmp_path / "in" / "b.txt"]


def test_an_import_fills_in_what_the_importer_left_out(tmp_path, files):
    manifest = import_tape(files, Numbers(), {}, tmp_path / "t")
    assert [(s.name, s.sha256, s.bytes, s.rows) for s in manifest.sources] == [
        ("a.txt", hash_file(files[0]), 5, 3),
        ("b.txt", hash_file(files[1]), 3, 2),
    ]
    assert (manifest.format, manifest.importer_version) == ("numbers", 1)
    assert load_manifest(tmp_path / "t") == manifest


def test_a_directory_stands_for_its_files_sorted_by_name(tmp_path, files):
    assert source_files([tmp_path / "in"]) == files
    (tmp_path / "none").mkdir()
    for path, said in ((tmp_path / "none", "no files in this directory"), (tmp_path / "x.txt", "x.txt: no such file")):
        with pytest.raises(DataError, match=said):
            source_files([path])
    (tmp_path / "empty.txt").touch()
    with pytest.raises(DataError, match=r"empty\.txt: the file is empty"):
        source_files([tmp_path / "empty.txt"])
    with pytest.raises(DataError, match="no recording given"):
        source_files([])
    import_tape(files, Numbers(), {}, tmp_path / "t")
    with pytest.raises(DataError, match="already a tape"):
        source_files([tmp_path / "t"])


def test_an_import_overwrites_a_tape_and_nothing_else(tmp_path, files):
    import_tape(files[:1], Numbers(), {}, tmp_path / "t")
    assert import_tape(files, Numbers(), {}, tmp_path / "t").rows == 5
    for path in (tmp_path / "in", files[0]):
        with pytest.raises(ConfigError, match="exists and is not a tape"):
            import_tape(files, Numbers(), {}, path)
    (tmp_path / "new").mkdir()
    assert import_tape(files, Numbers(), {}, tmp_path / "new").rows == 5
    assert files[0].read_text() == "1 2 3"


def test_an_unknown_option_lists_the_known_ones(tmp_path, files):
    with pytest.raises(ConfigError, match=r"format numbers has no option 'lots'; known options: lot"):
        import_tape(files, Numbers(), {"lots": 3}, tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_an_importer_is_found_by_name_or_by_looking_at_every_file(files):
    text, other = Numbers(), Numbers("other", "b.txt")
    assert find_importer("other", files, [text, other]) is other
    assert find_importer(None, files, [text, other]) is text
    with pytest.raises(ConfigError, match=r"unknown format 'nubmers'; known formats: numbers, other"):
        find_importer("nubmers", files, [text, other])
    with pytest.raises(ConfigError, match=r"b\.txt could be numbers or other; name the format"):
        find_importer(None, files[1:], [text, other])
    with pytest.raises(ConfigError, match=r"no importer recognises .*a\.txt"):
        find_importer(None, files, [other])


def test_a_recording_is_imported_once_until_anything_that_matters_changes(tmp_path, files):
    cache, importer = tmp_path / "cache", Numbers()
    first = cached_tape(files, importer, {}, cache)
    assert cached_tape(files, importer, {}, cache) == first
    assert importer.runs == 1
    others = [cached_tape(files, importer, {"lot": 2}, cache), cached_tape(files[::-1], importer, {}, cache)]
    newer = Numbers()
    newer.version = 2
    others.append(cached_tape(files, newer, {}, cache))
    files[0].write_text("1 2 9")
    others.append(cached_tape(files, importer, {}, cache))
    assert len({first, *others}) == 5
    assert load_manifest(others[-1]).markets[0].price_max_i == 9


def test_a_broken_cache_entry_is_made_again(tmp_path, files):
    importer = Numbers()
    path = cached_tape(files, importer, {}, tmp_path / "cache")
    (path / ROWS_FILE).write_bytes(b"PAR1")
    leftover = path.parent / f".{path.name}.1.2.part"
    leftover.mkdir()
    assert cached_tape(files, importer, {}, tmp_path / "cache") == path
    assert importer.runs == 2
    assert load_manifest(path).rows == 5
    assert not leftover.exists(), "what a killed import left behind is cleared away"


def test_a_failed_import_leaves_no_cache_entry(tmp_path, files):
    files[1].write_text("4 bad")
    with pytest.raises(DataError, match=r"b\.txt: line 2"):
        cached_tape(files, Numbers(), {}, tmp_path / "cache")
    assert [path.suffix for path in (tmp_path / "cache" / "tapes").iterdir()] == [".lock"]


def test_two_at_once_import_once(tmp_path, files):
    importer, started, go = Numbers(), threading.Event(), threading.Event()
    run = importer.run

    def slow(sources, options, sink):
        started.set()
        assert go.wait(10)
        run(sources, options, sink)

    importer.run = slow
    found: list[Path] = []
    workers = [
        threading.Thread(target=lambda: found.append(cached_tape(files, importer, {}, tmp_path / "cache")))
        for _ in range(2)
    ]
    workers[0].start()
    assert started.wait(10)
    workers[1].start()
    go.set()
    for worker in workers:
        worker.join(10)
    assert len(found) == 2
    assert len(set(found)) == 1
    assert importer.runs == 1


def test_a_cache_that_cannot_be_written_says_so(tmp_path, files):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DataError, match=r"the cache cannot be used: .*set EXECSIM_CACHE"):
        cached_tape(files, Numbers(), {}, tmp_path / "cache")


def test_the_cache_is_where_the_user_or_the_system_says(tmp_path, monkeypatch):
    monkeypatch.setenv("EXECSIM_CACHE", str(tmp_path))
    assert cache_root() == tmp_path
    monkeypatch.delenv("EXECSIM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    for platform, expected in (
        ("linux", tmp_path / "xdg" / "execsim"),
        ("darwin", Path.home() / "Library" / "Caches" / "execsim"),
        ("win32", tmp_path / "local" / "execsim"),
    ):
        monkeypatch.setattr(sys, "platform", platform)
        assert cache_root() == expected
