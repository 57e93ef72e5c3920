"""Price lists as authors write them, and as the JSON schema publishes them; read into `domain.prices`.

Neighbours: `schema_export` publishes the model, `app.spending` reads the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from aiops.definitions.fields import Model, Name
from aiops.definitions.problems import validate
from aiops.definitions.schema_rules import Metadata
from aiops.definitions.yaml_tree import MAX_BYTES, read_documents
from aiops.domain.errors import DefinitionError, Problem
from aiops.domain.prices import CloudPrices, NodeType, PriceList, Purchase, Sharing

Price = Annotated[float, Field(ge=0, le=1e9)]
Capacity = Annotated[float, Field(ge=0, le=1e6)]
Discount = Annotated[float, Field(ge=0, lt=1)]
TypeName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$")]


class NodeTypeModel(Model):
    """A machine one can rent. `spotHour` and `reservedHour` where they are known; else the cloud's discounts count."""

    cpu: Annotated[float, Field(gt=0, le=1e6, description="cores that pods can have")]
    memory_gib: Annotated[float, Field(gt=0, le=1e6, description="GiB that pods can have")]
    gpu: Capacity = 0.0
    hour: Price
    spot_hour: Price | None = None
    reserved_hour: Price | None = None


class CloudModel(Model):
    """Unit prices of one cloud, or of a data centre of one's own."""

    cpu_hour: Annotated[Price, Field(description="one core for an hour, on demand")]
    memory_gib_hour: Annotated[Price, Field(description="one GiB of memory for an hour, on demand")]
    gpu_hour: Annotated[Price, Field(description="one GPU for an hour, on demand")] = 0.0
    storage_gib_month: Annotated[Price, Field(description="one GiB of a volume for a month (730 h)")] = 0.0
    storage_classes: Annotated[dict[TypeName, Price], Field(description="the same for volumes of a StorageClass")] = Field(default_factory=dict)
    egress_gib: Annotated[Price, Field(description="one GiB that leaves")] = 0.0
    overhead_hour: Annotated[Price, Field(description="a cluster's management fee for an hour")] = 0.0
    spot_discount: Annotated[Discount, Field(description="share off the price of spot nodes without a price of their own")] = 0.0
    reserved_discount: Annotated[Discount, Field(description="the same for reserved nodes")] = 0.0
    node_types: dict[TypeName, NodeTypeModel] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _something(self) -> CloudModel:
        if not self.cpu_hour and not self.memory_gib_hour:
            raise ValueError("cpuHour and memoryGibHour are both 0: one of them must be above, since a node's price is split by them")
        return self


class SharingModel(Model):
    """Who pays what no tenant asked for."""

    namespaces: Annotated[list[Name], Field(description="namespaces that serve all, for example kube-system")] = Field(default_factory=list)
    cost: Annotated[Literal["separate", "proportional", "even"], Field(description="how their cost and the overhead are shared")] = "separate"
    idle: Annotated[Literal["separate", "proportional", "even"], Field(description="how the cost of capacity that nobody asked for is shared")] = "separate"


class PriceListModel(Model):
    """What things cost, for `aiops cost` and `aiops report --month`."""

    api_version: Literal["aiops/v1"]
    kind: Literal["PriceList"]
    metadata: Metadata
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217, for example USD")] = "USD"
    clouds: Annotated[dict[Name, CloudModel], Field(min_length=1, description="by name; the first one where none is named")]
    sharing: SharingModel = Field(default_factory=SharingModel)


def read_prices(path: Path) -> PriceList:
    """One document a file. Raises DefinitionError with every problem as file:line: key, OSError."""
    file = str(path)
    with path.open("rb") as handle:
        content = handle.read(MAX_BYTES + 1)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise DefinitionError((Problem(file, 1, "yaml", f"is no UTF-8 (byte {error.start})"),)) from error
    documents, problems = read_documents(text, file)
    if problems:
        raise DefinitionError(tuple(problems))
    if len(documents) != 1 or not isinstance(documents[0].data, dict):
        raise DefinitionError((Problem(file, 1, "document", "must be one map with apiVersion: aiops/v1 and kind: PriceList"),))
    found = validate(PriceListModel, documents[0].data, file, documents[0])
    if isinstance(found, list):
        raise DefinitionError(tuple(found))
    return _compiled(found)


def _compiled(model: PriceListModel) -> PriceList:
    s = model.sharing
    clouds = {name: _cloud(name, cloud) for name, cloud in model.clouds.items()}
    return PriceList(model.metadata.name, model.currency, clouds, tuple(s.namespaces), Sharing(s.cost), Sharing(s.idle))


def _cloud(name: str, c: CloudModel) -> CloudPrices:
    return CloudPrices(
        name=name, cpu=c.cpu_hour, memory=c.memory_gib_hour, gpu=c.gpu_hour, storage=c.storage_gib_month, storage_classes=dict(c.storage_classes),
        egress=c.egress_gib, overhead=c.overhead_hour, discounts={Purchase.SPOT: c.spot_discount, Purchase.RESERVED: c.reserved_discount},
        node_types={kind: _node(kind, n) for kind, n in c.node_types.items()},
    )


def _node(name: str, n: NodeTypeModel) -> NodeType:
    hours = {Purchase.ON_DEMAND: n.hour, Purchase.SPOT: n.spot_hour, Purchase.RESERVED: n.reserved_hour}
    return NodeType(name, n.cpu, n.memory_gib, n.gpu, {kind: hour for kind, hour in hours.items() if hour is not None})
