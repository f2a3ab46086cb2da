"""The demo as a newcomer runs it: a program of its own, looked at from outside."""

import re
import signal
import sys
from pathlib import Path

import pytest
from PIL import Image

from sandbox.kafka import EmbeddedKafka
from tests.integration.demos import LIMIT_S, processes_of, running

DEMO = "sandbox.demo"
EVENT = re.compile(r"^\d\d:\d\d:\d\d +mri-\d +job \d+ .*ACCEPTED")


@pytest.mark.timeout(LIMIT_S + 40)
def test_every_image_comes_through_kafka_and_matches(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    assert kafka.running  # skipped where no broker can run
    out = tmp_path / "out"
    with running(DEMO, out) as process:
        text, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, text
    lines = text.splitlines()
    assert lines[-1].startswith("6 of 6 scans completed, all images match their phantoms"), text
    assert str(out / "images.png") in lines[-1]
    assert "\x1b" not in text  # no bars, no colours

    with Image.open(out / "images.png") as picture:
        grey = picture.convert("L")
        assert grey.width > 1000
        low, high = grey.getextrema()
        assert low == 0
        assert high == 255
        assert len(set(grey.tobytes())) > 20
    memory = re.search(r"processor: (\d+) MB of memory", text)
    assert memory is not None
    assert int(memory[1]) < 200
    log = (out / "logs" / "worker.log").read_text()
    assert "Worker ready" in log
    assert (
        "Missing sensor state" not in log
    )  # Faust's warning where it has no sensor (streams/engine.py)
    assert (out / "logs" / "broker.log").stat().st_size > 0
    assert list((tmp_path / "tmp").iterdir()) == []
    assert processes_of(tmp_path) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only /proc shows what is left running")
@pytest.mark.timeout(LIMIT_S + 40)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_leaves_nothing(
    kafka: EmbeddedKafka, tmp_path: Path, number: signal.Signals
) -> None:
    assert kafka.running
    with running(DEMO, tmp_path / "out") as process:
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            seen.append(line)
            if EVENT.match(line):
                break
        else:
            pytest.fail("".join(seen))
        assert processes_of(tmp_path)  # so that an empty list below means something
        process.send_signal(number)
        rest, _ = process.communicate(timeout=40)
        assert process.returncode == 128 + number, rest
        assert rest.splitlines()[-1] == "stopped: nothing is left running"
        assert processes_of(tmp_path) == []
    assert list((tmp_path / "tmp").iterdir()) == []
