"""Puts samples into a real Prometheus by its remote-write endpoint, which, unlike its text formats, takes stale markers too."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence

import requests

Sample = tuple[float, float]
Series = tuple[Mapping[str, str], Sequence[Sample]]

_SLICE_S = 600.0


def push(url: str, series: Sequence[Series]) -> None:
    """Send all, ten minutes at a time, since a head block takes samples in about rising order only."""
    start = min(samples[0][0] for _, samples in series)
    end = max(samples[-1][0] for _, samples in series)
    while start <= end:
        piece = [(labels, [s for s in samples if start <= s[0] < start + _SLICE_S]) for labels, samples in series]
        body = _snappy(b"".join(_field(1, _time_series(labels, samples)) for labels, samples in piece if samples))
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf", "X-Prometheus-Remote-Write-Version": "0.1.0"}
        answer = requests.post(f"{url}/api/v1/write", data=body, headers=headers, timeout=30)
        assert answer.status_code == 204, answer.text
        start += _SLICE_S


def _time_series(labels: Mapping[str, str], samples: Sequence[Sample]) -> bytes:
    pairs = b"".join(_field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in sorted(labels.items()))
    return pairs + b"".join(_field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(round(at * 1000))) for at, value in samples)


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _snappy(content: bytes) -> bytes:
    """The snappy block format with literals only: valid, just not smaller."""
    return _varint(len(content)) + b"".join(_literals(content))


def _literals(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), 65536):
        piece = content[start : start + 65536]
        yield b"\xf4" + struct.pack("<H", len(piece) - 1) + piece
