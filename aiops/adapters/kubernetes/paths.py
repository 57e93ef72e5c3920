"""Where objects stand on the API. Pure. Neighbours: `reader`, `writer`."""

from __future__ import annotations

from urllib.parse import quote

from aiops.domain.errors import InvalidError, NotFoundError
from aiops.domain.target import KINDS, Kind, TargetRef, valid_name


def kind_of(name: str) -> Kind:
    """Raises InvalidError for a kind we do not know the address of."""
    if name not in KINDS:
        raise InvalidError("UnknownKind", f"the cluster has no kind {name!r}: only {', '.join(sorted(KINDS))}", 400)
    return KINDS[name]


def collection(kind_name: str, namespace: str) -> str:
    """`/api/v1/namespaces/shop/pods`; all namespaces if empty. Raises InvalidError for a namespace that cannot be one."""
    kind = kind_of(kind_name)
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    if not (kind.namespaced and namespace):
        return f"{root}/{kind.plural}"
    if not valid_name(namespace):
        raise InvalidError("BadRequest", f"{namespace!r} cannot be a namespace", 400)
    return f"{root}/namespaces/{quote(namespace, safe='')}/{kind.plural}"


def item(ref: TargetRef, subresource: str = "") -> str:
    """The address of one object. A name that no object can have (from a hostile label) raises NotFoundError and is not sent."""
    place = collection(ref.kind, ref.namespace)
    if not valid_name(ref.name) or (kind_of(ref.kind).namespaced and not ref.namespace):
        raise NotFoundError("NotFound", f"{kind_of(ref.kind).plural} {ref.name!r} not found: no object can have this name", 404)
    return f"{place}/{quote(ref.name, safe='')}" + (f"/{subresource}" if subresource else "")
