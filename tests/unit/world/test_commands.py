"""The commands of the world: what is wrong with files or arguments is one line, and no server is needed to say so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.testbed.__main__ import main as command
from tests.testbed.world import control
from tests.testbed.world.__main__ import main as world
from tests.testbed.world.exporter import Texts
from tests.testbed.world.simulation import TargetFrame
from tests.unit.world.helpers import new_world, run


def test_a_file_that_is_wrong_ends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "token").write_text("t")
    (tmp_path / "cart.yaml").write_text("apiVersion: aiops-testbed/v1\nkind: Service\nname: cart\nserviceTime: 1s\nload: {rate: 1}\nreplica: 2\n")
    reach = ["--plane-url", "https://127.0.0.1:1", "--ca-file", str(tmp_path / "token"), "--token-file", str(tmp_path / "token")]
    assert world([*reach, "--services", str(tmp_path / "cart.yaml")]) == 1
    complaint = capsys.readouterr().err
    assert f"{tmp_path / 'cart.yaml'}:6: replica: is not known" in complaint
    assert "did you mean replicas?" in complaint
    assert len(complaint.strip().splitlines()) == 1


def test_no_world_is_running(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert command(["faults"]) == 1
    assert "no world is running" in capsys.readouterr().err
    control.announce("http://127.0.0.1:1")
    assert command(["fault", "surge", "on"]) == 1
    assert "does not answer" in capsys.readouterr().err
    control.withdraw("http://127.0.0.1:2")
    assert control.address_file().exists(), "another world's address stays"
    control.withdraw("http://127.0.0.1:1")
    assert not control.address_file().exists()


@pytest.mark.parametrize("words", [["fault", "surge"], ["fault", "surge", "up"], ["faults", "surge"], ["--only", "plane,moon"]])
def test_wrong_arguments(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command(words)
    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_text_format() -> None:
    labels = ({"__name__": "x_total", "job": "services", "instance": "a/b", "pod": 'a"b\\c\nd'}, {"__name__": "y", "job": "services"})
    frame = TargetFrame("services", "a/b", {}, up=True, series=labels, values=np.array([1.5, 3.0]))
    assert Texts().text(frame) == b'x_total{pod="a\\"b\\\\c\\nd"} 1.5\ny{} 3.0\n'


def test_every_series_of_the_world_is_told_once() -> None:
    world = new_world(warm=30)
    world.time.cancel("world")
    run(world, 1)
    frame = world.second()
    for target in frame.targets:
        lines = Texts().text(target).decode().splitlines()
        names = [line.rpartition(" ")[0] for line in lines]
        assert len(set(names)) == len(names) == len(target.series)
