from __future__ import annotations

import io
import json
import logging
import sys

import hpack
import pytest

from execsim.core.errors import ConfigError
from execsim.observe import init_logging
from execsim.observe.logs import logging_as
from execsim.observe.masks import mask


def lines(capsys):
    return capsys.readouterr().err.splitlines()


def test_key_value_lines(capsys):
    init_logging("info")
    log = logging.getLogger("execsim.engine")
    log.debug("too quiet")
    log.info("order placed", extra={"order_id": "7", "price": 0.5, "note": 'say "hi"', "api_key": "abc"})
    [line] = lines(capsys)
    ts, rest = line.split(" ", 1)
    assert ts.startswith("ts=20")
    assert ts.endswith("Z")
    assert rest == (
        'level=INFO logger=execsim.engine msg="order placed" order_id=7 price=0.5 note="say \\"hi\\"" api_key=***'
    )


def test_json_lines_and_calling_twice(capsys):
    init_logging("DEBUG", "text")
    init_logging("WARNING", "json")
    log = logging.getLogger("execsim")
    log.info("no")
    log.warning("yes", extra={"config": {"venue": "x", "secret": "s"}, "sizes": [1, 2]})
    [line] = lines(capsys)
    fields = json.loads(line)
    assert (fields["level"], fields["msg"], fields["sizes"]) == ("WARNING", "yes", [1, 2])
    assert fields["config"] == {"venue": "x", "secret": "***"}


def test_tracebacks_are_masked_too(capsys):
    init_logging("INFO")
    try:
        raise ValueError("bad request: apiKey=hunter2")
    except ValueError:
        logging.getLogger("x").exception("failed")
    text = "\n".join(lines(capsys))
    assert "ValueError" in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    "text",
    [
        "api_key=hunter2",
        "POLY_PASSPHRASE: hunter2",
        '{"secret": "hunter2", "size": 5}',
        "{'privateKey': 'hunter2'}",
        "GET /order?signature=hunter2&x=1",
        "Authorization: Bearer hunter2",
        "x-mbx-apikey=hunter2,",
    ],
)
def test_secrets_in_text_are_masked(text):
    assert "hunter2" not in mask(text)
    assert "***" in mask(text)


def test_the_rest_of_the_line_survives():
    assert mask('{"secret": "a b", "size": 5}') == '{"secret": ***, "size": 5}'
    assert mask("order 7 placed at 0.52, size=5") == "order 7 placed at 0.52, size=5"


def test_headers_are_not_in_the_log_as_compressed_bytes(capsys):
    init_logging("DEBUG")
    hpack.Encoder().encode([("poly_passphrase", "hunter2"), ("poly_api_key", "11111111-2222")])
    for name in ("h2.connection", "hyperframe.frame"):
        logging.getLogger(name).debug("a frame")
    assert lines(capsys) == []


def test_noisy_libraries_are_quiet_even_at_debug(capsys):
    init_logging("DEBUG")
    logging.getLogger("numba.core").debug("bytecode dump")
    logging.getLogger("execsim").debug("ours")
    assert len(lines(capsys)) == 1


def test_wrong_names_are_config_errors():
    with pytest.raises(ConfigError, match=r"log level 'LOUD'.*DEBUG, INFO"):
        init_logging("LOUD")
    with pytest.raises(ConfigError, match="log format 'xml'"):
        init_logging("INFO", "xml")  # type: ignore[arg-type]


def test_for_a_while_only(capsys):
    log = logging.getLogger("execsim")
    init_logging("error")
    before = list(logging.getLogger().handlers)
    with logging_as("debug", "json"):
        log.debug("inside")
    log.debug("after")
    assert [json.loads(line)["msg"] for line in lines(capsys)] == ["inside"]
    assert logging.getLogger().handlers == before
    with pytest.raises(ConfigError), logging_as("LOUD", "text"):
        pass
    assert logging.getLogger().handlers == before


def test_lines_go_to_what_is_stderr_then(capsys, monkeypatch):
    init_logging("info")
    with monkeypatch.context() as patched:
        bar = io.StringIO()
        patched.setattr(sys, "stderr", bar)
        logging.getLogger("x").info("under the bar")
    assert "under the bar" in bar.getvalue()
    assert lines(capsys) == []
