"""The Redis cache against servers that break off: the error says how far it came, and nothing is sent twice."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from aiops.adapters.memory_cache import MemoryCache
from aiops.adapters.redis_cache import RedisCache
from aiops.domain.errors import CacheUnavailableError
from tests.unit.adapters.resp_server import RespServer, error, keys, number, simple

SECRET = "s3cr3t"


def cache(server: RespServer, **options: object) -> RedisCache:
    return RedisCache("catalog", server.url, timeout=2, **options)  # type: ignore[arg-type]


def test_a_flush_is_scan_and_unlink_and_nothing_else():
    with RespServer(
        {"SCAN": [keys(7, "catalog:1", "catalog:2", "catalog:1"), keys(0, "catalog:3")], "UNLINK": [number(2), number(1)]}
    ) as server:
        result = cache(server).flush("catalog:*", batch=50)
        words = server.words
    assert (result.matched, result.removed, result.finished, result.sample) == (3, 3, True, ("catalog:1", "catalog:2", "catalog:3"))
    assert [w for w in words if w[0] != "CLIENT"] == [
        ["SCAN", "0", "MATCH", "catalog:*", "COUNT", "50"],
        ["UNLINK", "catalog:1", "catalog:2"],
        ["SCAN", "7", "MATCH", "catalog:*", "COUNT", "50"],
        ["UNLINK", "catalog:3"],
    ]


def test_keys_that_scan_shows_twice_are_counted_once():
    with RespServer({"SCAN": [keys(7, "catalog:1"), keys(0, "catalog:1", "catalog:2")]}) as server:
        result = cache(server).count("catalog:*")
    assert (result.matched, result.removed, result.applied) == (2, 0, False)


def test_a_page_larger_than_asked_for_is_unlinked_in_batches():
    many = [f"catalog:{n}" for n in range(25)]
    with RespServer({"SCAN": [keys(0, *many)], "UNLINK": [number(10), number(10), number(5)]}) as server:
        result = cache(server).flush("catalog:*", batch=10)
        sizes = [len(w) - 1 for w in server.words if w[0] == "UNLINK"]
    assert (result.removed, sizes) == (25, [10, 10, 5])


def test_a_server_that_breaks_off_leaves_word_how_far_it_came():
    with RespServer({"SCAN": [keys(7, "catalog:1", "catalog:2"), None], "UNLINK": [number(2)]}) as server:
        with pytest.raises(CacheUnavailableError, match="catalog") as caught:
            cache(server).flush("catalog:*")
        assert [w[0] for w in server.words].count("SCAN") == 2
    assert caught.value.done == 2


class Hurried:
    """A clock on which a second passes at each look."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        self.at += 1.0
        return self.at


def test_it_ends_when_its_time_is_over_also_where_nothing_matches():
    with RespServer({"SCAN": [keys(7, "catalog:1"), keys(8), keys(9), keys(0)], "UNLINK": [number(1)]}) as server:
        result = cache(server, clock=Hurried()).flush("catalog:*", seconds=3)
        assert [w[0] for w in server.words if w[0] != "CLIENT"] == ["SCAN", "UNLINK", "SCAN", "SCAN"]
    assert (result.removed, result.finished) == (1, False)


def test_an_unlink_without_an_answer_is_not_sent_twice():
    with RespServer({"SCAN": [keys(0, "catalog:1")], "UNLINK": [None]}) as server:
        with pytest.raises(CacheUnavailableError):
            cache(server).flush("catalog:*")
        assert [w[0] for w in server.words].count("UNLINK") == 1


@pytest.mark.parametrize(
    "answer", [error("LOADING Redis is loading"), error("NOAUTH Authentication required."), simple("nonsense"), b"$garbage\r\n"]
)
def test_an_answer_that_is_none_is_unavailable(answer: bytes):
    with RespServer({"SCAN": [answer]}) as server, pytest.raises(CacheUnavailableError):
        cache(server).flush("catalog:*")


def test_no_server_is_unavailable_and_names_the_place_without_the_password(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    secret = tmp_path / "password"
    secret.write_text(SECRET)
    with pytest.raises(CacheUnavailableError) as caught:
        RedisCache("catalog", f"redis://user:{SECRET}@127.0.0.1:{port}/3", timeout=1, password_file=secret).flush("catalog:*")
    assert f"127.0.0.1:{port}/3" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_password_comes_from_its_file(tmp_path: Path):
    secret = tmp_path / "password"
    secret.write_text(f"{SECRET}\n")
    with RespServer({"SCAN": [keys(0)], "AUTH": [simple("OK")]}) as server:
        cache(server, password_file=secret).flush("catalog:*")
        sent = [word for words in server.words for word in words]
    assert SECRET in sent


def test_a_missing_password_file_is_unavailable(tmp_path: Path):
    with RespServer({}) as server, pytest.raises(CacheUnavailableError, match="missing"):
        cache(server, password_file=tmp_path / "missing").flush("catalog:*")


def test_the_cache_in_memory_can_be_down_too():
    memory = MemoryCache("catalog", ["catalog:1"])
    memory.broken = True
    with pytest.raises(CacheUnavailableError):
        memory.flush("catalog:*")
    assert memory.keys == ("catalog:1",)
    memory.add("catalog:2")
    memory.broken = False
    assert memory.flush("catalog:*").removed == 2
