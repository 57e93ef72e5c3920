"""Domain values to JSON text and back, with `msgspec`.

Every string is hostile input: lone surrogates and NUL, which UTF-8 or PostgreSQL cannot hold, become U+FFFD instead of an error that
would come back at each poll. NaN and ±Inf become null; where the type does not allow null, `document` refuses on the way in, so that what is stored can be read.
Neighbours: `writing` and `outbox` encode, `reading` decodes.
"""

from __future__ import annotations

import hashlib
import math
import re
import threading
from collections.abc import Hashable, Mapping
from functools import cache
from typing import Any, TypeVar, cast

import msgspec

from aiops.domain.errors import StoreError, trimmed

T = TypeVar("T")

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def clean(text: str) -> str:
    """The text as a column can hold it; used for what is written and for what is asked, so that both agree."""
    return text if text.isascii() and "\x00" not in text else _UNSTORABLE.sub("\ufffd", text)


LONGEST_KEY = 600
"""Characters of a text that is looked up: an index of PostgreSQL takes 2,700 bytes, and a hostile label is as long as it likes."""


def key_text(text: str) -> str:
    """`clean`, and beyond `LONGEST_KEY` cut, with a hash of the whole so that two stay two; for what is written and for what is asked."""
    text = clean(text)
    if len(text) <= LONGEST_KEY:
        return text
    return f"{text[: LONGEST_KEY - 40]}…#{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"


def finite(value: float, name: str) -> float:
    """The number, if it is one. Raises StoreError: a time of NaN would be stored as null and could never be read again."""
    if not math.isfinite(value):
        raise StoreError(f"{name} must be a finite number, not {value}")
    return float(value)


def _plain(value: Any) -> Any:
    """What `msgspec` does not know: read-only mappings, numpy scalars and arrays, subclasses of str and float."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int):
        return int(value)
    for name in ("tolist", "item"):
        if hasattr(value, name):
            return getattr(value, name)()
    raise NotImplementedError(f"{type(value).__name__} is not JSON")


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {_cleaned(k): _cleaned(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(v) for v in value]
    return value


_ENCODER = msgspec.json.Encoder(enc_hook=_plain)


def encode(value: Any) -> str:
    """JSON text of a domain value. Raises StoreError if it holds what JSON cannot (an object, an integer beyond 64 bits)."""
    try:
        try:
            return _ENCODER.encode(value).decode()
        except UnicodeEncodeError:
            return _ENCODER.encode(_cleaned(msgspec.to_builtins(value, enc_hook=_plain, str_keys=True))).decode()
    except (msgspec.MsgspecError, NotImplementedError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise StoreError(f"{type(value).__name__} cannot be stored: {trimmed(str(error))}") from error


def document(value: Any) -> str:
    """`encode`, proved to be readable as the same type. Raises StoreError (a required number that is NaN, a field of the wrong type)."""
    text = encode(value)
    try:
        decode(type(value), text)
    except StoreError as error:
        raise StoreError(f"refused, for it could not be read again: {error}") from error
    return text


# msgspec keeps what it knows of a class on the class, half made while a decoder is being built: a second thread that builds then crashes the process.
_BUILDING = threading.Lock()


@cache
def _decoder(kind: Hashable) -> msgspec.json.Decoder[Any]:
    with _BUILDING:
        return msgspec.json.Decoder(kind)


def decode(kind: type[T], text: str) -> T:
    """The value again. Raises StoreError when the text is not of this shape: the row was damaged or written by something else."""
    try:
        value: T = _decoder(cast("Hashable", kind)).decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreError(f"a stored {kind.__name__} cannot be read: {trimmed(str(error))}") from error
    return value


def decode_any(text: str) -> Any:
    """A small JSON document of any shape."""
    try:
        return msgspec.json.decode(text)
    except msgspec.MsgspecError as error:
        raise StoreError(f"a stored document cannot be read: {trimmed(str(error))}") from error
