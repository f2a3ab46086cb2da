"""The simulated services as programs: one line with their addresses, and an orderly end."""

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

from sandbox.processes import Process

REPOSITORY = Path(__file__).parents[2]


def run(folder: Path, name: str, *arguments: object) -> Process:
    command = [sys.executable, "-m", f"sandbox.{name}", *map(str, arguments)]
    return Process(name, command, log_file=folder / f"{name}.log", cwd=REPOSITORY)


def ask(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(url, data, timeout=5) as got:  # noqa: S310 - our own loopback
        return json.load(got)


def test_managers_and_a_device_as_programs(tmp_path: Path) -> None:
    requests, starts = tmp_path / "requests.jsonl", tmp_path / "starts.jsonl"
    options = ("--id", "mri-0001", "--no-kafka", "--data-lake", tmp_path, "--scan-seconds", 60)
    managers = run(tmp_path, "managers", "--era", "uuid", "--any-job", "--log", requests)
    device = run(tmp_path, "device", *options, "--log", starts)
    try:
        told = json.loads(managers.wait_for_line("control"))
        job = {"job_id": "6a3b7ebb-ae8c-4bce-be04-7d0c14a44158"}
        made = ask(f"{told['exam']}/api/v1/exam/record", job)
        assert ask(f"{told['control']['exam']}/_sandbox/records")[0]["id"] == made["id"]
        managers.kill()
        (line,) = requests.read_text().splitlines()
        assert json.loads(line)["status"] == 201

        told = json.loads(device.wait_for_line("control"))
        order = {"record_id": made["id"], "sequence": "{}"}
        answer = ask(f"http://{told['ip_address']}/api/start-scan", order)
        assert answer == {"message": "Simulation started"}
        assert len(starts.read_text().splitlines()) == 1
        assert device.terminate() == 0
    finally:
        managers.kill()
        device.kill()
