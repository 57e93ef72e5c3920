"""Two actions with every type of parameter: what definitions need to know of actions, without the real ones."""

from __future__ import annotations

from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec

ACTIONS = {
    "scale": ActionSpec(
        "scale",
        "set the count",
        EffectClass.STAMPED,
        {
            "by": ParamSpec("quantity-change", "change"),
            "to": ParamSpec("int", "count", minimum=0, maximum=100),
            "limit": ParamSpec("int", "bound", default=50, minimum=1, maximum=100),
        },
        one_of=(("by", "to"),),
    ),
    "every": ActionSpec(
        "every",
        "takes all types",
        EffectClass.NONE,
        {
            "text": ParamSpec("string", "a text", required=True),
            "level": ParamSpec("string", "a level", choices=("low", "high"), default="low"),
            "share": ParamSpec("float", "a share", minimum=0, maximum=1),
            "flag": ParamSpec("bool", "a flag"),
            "for": ParamSpec("duration", "how long", minimum=0, maximum=3600),
            "names": ParamSpec("strings", "names"),
            "query": ParamSpec("promql", "a query"),
            "passes": ParamSpec("verify-cel", "a condition on a level"),
            "condition": ParamSpec("object-cel", "a condition on an object"),
        },
    ),
}

SOURCES = {"prometheus": "prometheus", "logs": "elasticsearch"}
