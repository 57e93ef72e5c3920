"""Answers of the Prometheus HTTP API (v1, `query` and `query_range`) into numpy columns, while they arrive.

The body is cut between two series and decoded piece by piece, so it never stands in memory as a whole. Each piece is decoded with its
labels left as text; that this text can be decoded later is proved for the piece at once (`_label_sets`), and where it cannot be proved the labels
are decoded now. Whatever is not laid out as Prometheus does it is decoded as one document, with the same result.
Neighbours: `labels` keeps label sets, `source` feeds this.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain

import msgspec
import numpy as np
from msgspec import UNSET, Raw, Struct, UnsetType
from numpy.typing import NDArray

from aiops.adapters.prometheus.labels import LabelColumn, LabelTable, Offsets, SharedLabels
from aiops.domain.series import Floats, Labels

MAX_WARNINGS = 20
_HEAD = re.compile(rb'\s*\{"status":"success",(?:"isPartial":(?:true|false),)?"data":\{"resultType":"(vector|matrix)","result":\[')
_HEAD_WITHIN = 256
_BETWEEN = b'},{"metric":'
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]?Inf|NaN", re.ASCII)
# Annotations of PromQL speak about the query; every other warning is about data that the server could not reach.
_ABOUT_QUERY = ("PromQL warning:", "PromQL info:")
_QUOTE, _COLON, _END = b'":]'
Bools = NDArray[np.bool_]
_BEFORE, _AFTER = b'{"metric":{', (b'},"value":[', b'},"values":[')


class _Point(Struct, gc=False):
    value: tuple[float, float]


class _Line(Struct, gc=False):
    values: list[tuple[float, float]]


class _StrictPoint(Struct, gc=False):
    metric: Raw
    value: tuple[float, str] | UnsetType = UNSET
    histogram: Raw | UnsetType = UNSET


class _StrictLine(Struct, gc=False):
    metric: Raw
    values: list[tuple[float, str]] | UnsetType = UNSET
    histograms: Raw | UnsetType = UNSET


class _Data(Struct, rename="camel"):
    result_type: str
    result: Raw


class Envelope(Struct, rename={"error_type": "errorType", "is_partial": "isPartial"}):
    """What stands around the result, and what stands there instead of it when the server refuses."""

    status: str
    data: _Data | None = None
    error_type: str = ""
    error: str = ""
    warnings: list[str] | None = None
    infos: list[str] | None = None
    is_partial: bool = False
    partial_response: bool = False


_metric: Callable[[_StrictPoint | _StrictLine], Raw] = operator.attrgetter("metric")
_value: Callable[[_Point], tuple[float, float]] = operator.attrgetter("value")
# Lax, since values come as texts; it takes "NaN", "Inf" and "-Inf" but not "+Inf", for which the strict way is gone.
_points = msgspec.json.Decoder(list[_Point], strict=False).decode
_lines = msgspec.json.Decoder(list[_Line], strict=False).decode
_strict_points = msgspec.json.Decoder(list[_StrictPoint]).decode
_strict_lines = msgspec.json.Decoder(list[_StrictLine]).decode
_scalar = msgspec.json.Decoder(tuple[float, str]).decode
_envelope = msgspec.json.Decoder(Envelope).decode


class RefusedError(Exception):
    """The server's answer says `"status":"error"`; the envelope holds why."""

    def __init__(self, envelope: Envelope) -> None:
        super().__init__(f"{envelope.error_type}: {envelope.error}")
        self.envelope = envelope


@dataclass(slots=True)
class Decoded:
    """A whole answer. `kind` is Prometheus' result type: vector and scalar fill the columns, matrix fills `series`, string fills `text`."""

    kind: str
    labels: Sequence[Labels] = ()
    times: Floats = field(default_factory=lambda: np.empty(0))
    values: Floats = field(default_factory=lambda: np.empty(0))
    series: list[tuple[Labels, Floats, Floats]] = field(default_factory=list)
    text: str = ""
    warnings: tuple[str, ...] = ()
    partial: bool = False


class AnswerDecoder:
    """Feed it the body's pieces, then `finish()`. All methods raise ValueError on what is no answer (msgspec's errors are ValueErrors)."""

    def __init__(self, table: LabelTable) -> None:
        self._table = table
        self._pending: list[bytes] = []
        self._head = b""
        self._kind = ""
        self._whole = False
        self._labels = LabelColumn(table)
        self._columns: list[Floats] = []
        self._series: list[tuple[Labels, Floats, Floats]] = []
        self._histograms = 0
        self._room = np.empty((2, 0), dtype=np.bool_)

    def _scratch(self, n: int) -> tuple[Bools, Bools]:
        """Two arrays of n flags, the same memory for each piece: to touch new pages costs more than to compare."""
        if self._room.shape[1] < n:
            self._room = np.empty((2, n + n // 4), dtype=np.bool_)
        return self._room[0, :n], self._room[1, :n]

    def feed(self, piece: bytes) -> None:
        """The next bytes of the body, cut anywhere."""
        # Joined only where there is something to cut, or a long body without a cut would be copied again with each piece.
        near = (self._pending[-1][-len(_BETWEEN) :] if self._pending else b"") + piece
        self._pending.append(piece)
        if not self._kind and not self._begin():
            return
        if _BETWEEN in near:
            body = bytearray().join([b"[", *self._pending])
            cut = body.rfind(_BETWEEN)
            self._pending = [bytes(body[cut + 2 :])]
            body[cut + 1] = _END  # in place of the comma, so that nothing is copied
            del body[cut + 2 :]
            self._add(body)

    def finish(self) -> Decoded:
        """The answer. Raises RefusedError if the server says that it failed."""
        answer = _envelope(b"".join([self._head, *self._pending]))
        if answer.status != "success" or answer.data is None:
            raise RefusedError(answer)
        kind, result = answer.data.result_type, bytearray(answer.data.result)
        decoded = Decoded(kind, warnings=warnings(answer))
        if kind in ("vector", "matrix"):
            self._kind = kind
            self._add(result)
            decoded.labels = self._labels
            points = np.concatenate(self._columns) if self._columns else np.empty((0, 2))
            decoded.times, decoded.values = np.ascontiguousarray(points[:, 0]), np.ascontiguousarray(points[:, 1])
            decoded.series = self._series
        elif kind in ("scalar", "string"):
            at, text = _scalar(result)
            decoded.labels, decoded.times, decoded.text = ({},), np.array([at]), text
            decoded.values = np.array([number(text) if kind == "scalar" else np.nan])
        else:
            raise ValueError(f"unknown result type {kind[:40]!r}")
        if self._histograms:
            decoded.warnings += (f"{self._histograms} native histograms were left out: only numbers are read",)
        decoded.partial = partial(answer) or self._histograms > 0
        return decoded

    def _begin(self) -> bool:
        """Whether the head is known and pieces may be decoded."""
        if self._whole:
            return False
        body = b"".join(self._pending)
        found = _HEAD.match(body)
        if found is None:
            self._whole = len(body) > _HEAD_WITHIN
            return False
        self._head, self._kind = found.group(0), found.group(1).decode()
        self._pending = [body[found.end() :]]
        return True

    def _add(self, array: bytearray) -> None:
        """One piece: a whole array of series."""
        if self._kind == "vector":
            self._add_points(array)
        else:
            self._add_lines(array)

    def _add_points(self, array: bytearray) -> None:
        try:
            items = _points(array)
        except msgspec.ValidationError:
            self._add_strict_points(array)
            return
        found = _label_sets(array, len(items), _AFTER[0], self._scratch)
        if found is None:
            self._add_strict_points(array)
            return
        self._labels.add_text(array, *found)
        self._columns.append(_pairs(map(_value, items), len(items)))

    def _add_strict_points(self, array: bytearray) -> None:
        """Slower, and exact about the texts of numbers; knows histograms and any order of keys."""
        items = _strict_points(array)
        kept = [i for i in items if i.value is not UNSET]
        if any(i.value is UNSET and i.histogram is UNSET for i in items):
            raise ValueError("a series has neither value nor histogram")
        self._histograms += len(items) - len(kept)
        self._labels.add(self._checked(kept))
        pairs = [(i.value[0], number(i.value[1])) for i in kept if i.value is not UNSET]
        self._columns.append(np.array(pairs, dtype=np.float64).reshape(-1, 2))

    def _add_lines(self, array: bytearray) -> None:
        try:
            items = _lines(array)
        except msgspec.ValidationError:
            self._add_strict_lines(array)
            return
        found = _label_sets(array, len(items), _AFTER[1], self._scratch)
        if found is None:
            self._add_strict_lines(array)
            return
        text = bytes(array)
        labels = self._table.shared([text[start:end] for start, end in zip(found[0].tolist(), found[1].tolist(), strict=True)])
        for one, item in zip(labels, items, strict=True):
            points = _pairs(item.values, len(item.values))
            self._series.append((one, np.ascontiguousarray(points[:, 0]), np.ascontiguousarray(points[:, 1])))

    def _add_strict_lines(self, array: bytearray) -> None:
        items = _strict_lines(array)
        if any(i.values is UNSET and i.histograms is UNSET for i in items):
            raise ValueError("a series has neither values nor histograms")
        self._histograms += sum(i.histograms is not UNSET for i in items)
        for one, item in zip(self._checked(items), items, strict=True):
            if item.values is not UNSET:
                points = np.array([(at, number(text)) for at, text in item.values], dtype=np.float64).reshape(-1, 2)
                self._series.append((one, np.ascontiguousarray(points[:, 0]), np.ascontiguousarray(points[:, 1])))

    def _checked(self, items: Sequence[_StrictPoint | _StrictLine]) -> list[SharedLabels]:
        return self._table.checked(map(bytes, map(_metric, items)))


def _pairs(points: Iterable[tuple[float, float]], n: int) -> Floats:
    """Shape (n, 2): times and values."""
    return np.fromiter(chain.from_iterable(points), dtype=np.float64, count=2 * n).reshape(-1, 2)


def number(text: str) -> float:
    """A value as Prometheus writes it. Raises ValueError on anything else that Python's float would take ("1_0", "infinity", " 1")."""
    if _NUMBER.fullmatch(text) is None:
        raise ValueError(f"not a number: {text[:40]!r}")
    return float(text)


def warnings(answer: Envelope) -> tuple[str, ...]:
    """The server's warnings and remarks, a bounded number."""
    return tuple(((answer.warnings or []) + (answer.infos or []))[:MAX_WARNINGS])


def partial(answer: Envelope) -> bool:
    """Whether the server says that it could not see everything."""
    return answer.is_partial or answer.partial_response or any(not w.startswith(_ABOUT_QUERY) for w in answer.warnings or [])


def _label_sets(array: bytearray, n: int, after: bytes, scratch: Callable[[int], tuple[Bools, Bools]]) -> tuple[Offsets, Offsets] | None:
    """Where the label sets of n series stand in a well-formed array, if each is surely an object of texts; None where that cannot be told.

    A key ends in `":`. What follows is a quote for each label; of the others there are exactly two for each series, in turn a brace (its label set) and
    a bracket (its value or values), and around them stands what Prometheus writes. Without a backslash no text holds a quote, so none can imitate a key;
    a text that begins with a colon spoils the count, and then the slower way is taken.
    """
    if n == 0 or b"\\" in array:
        return None
    if not array.isascii():
        try:
            array.decode()
        except UnicodeDecodeError:
            raise ValueError("not UTF-8") from None
    octets = np.frombuffer(array, np.uint8)
    # Whole-array comparisons run at the speed of memory; picking places comes last, when few are left.
    keys, other = scratch(len(array) - 2)
    np.equal(octets[1:-1], _COLON, out=keys)
    keys &= np.not_equal(octets[2:], _QUOTE, out=other)
    keys &= np.equal(octets[:-2], _QUOTE, out=other)
    at = np.flatnonzero(keys) + 1
    if at.size != 2 * n:
        return None
    starts, values = at[0::2] + 1, at[1::2] + 2
    if starts[0] < len(_BEFORE) or not (_stands(array, starts + 1, _BEFORE) and _stands(array, values, after)):
        return None
    return starts, values - len(after) + 1


def _stands(array: bytearray, ends: Offsets, text: bytes) -> bool:
    """Whether `text`, of 8 to 16 octets, ends at each of these places; compared as two words that may overlap."""
    words = np.ndarray((len(array) - 7,), "<u8", array, strides=(1,))
    first, last = int.from_bytes(text[:8], "little"), int.from_bytes(text[-8:], "little")
    return bool((words[ends - len(text)] == first).all() and (words[ends - 8] == last).all())
