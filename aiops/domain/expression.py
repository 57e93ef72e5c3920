"""What a compiled expression is to the rest of the house; `definitions.cel` makes them.

Neighbours: runbook matches, step conditions, verification and object rules hold one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Expression(Protocol):
    """A compiled, type-checked expression. `text` is its source; equal texts mean equal expressions."""

    @property
    def text(self) -> str:
        """The source as the author wrote it."""
        ...

    def evaluate(self, facts: Mapping[str, Any]) -> Any:
        """The value for these facts (plain Python values). Raises `ExpressionError` if it cannot be had: that is never "true"."""
        ...


class Compiler(Protocol):
    """Compiles an expression of one of the named vocabularies (`match`, `verify`, `step`, `object`)."""

    def __call__(self, text: str, vocabulary: str) -> Expression:
        """Raises ValueError with place and cause if it does not parse or type-check."""
        ...


class Renderer(Protocol):
    """Renders a text template over variables; with `promql` every `{{ }}` value is escaped as a PromQL label value."""

    def __call__(self, template: str, variables: Mapping[str, Any], *, promql: bool = False) -> str:
        """Raises `ExpressionError` on an undefined name or when a bound on size is passed."""
        ...
