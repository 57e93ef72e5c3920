"""Price lists: read, and every problem with its line."""

from __future__ import annotations

import pytest

from aiops.definitions.schema_prices import read_prices
from aiops.domain.errors import DefinitionError
from aiops.domain.prices import Purchase, Sharing

GOOD = """apiVersion: aiops/v1
kind: PriceList
metadata: {name: house}
currency: EUR
clouds:
  aws:
    cpuHour: 0.03
    memoryGibHour: 0.004
    storageGibMonth: 0.08
    spotDiscount: 0.6
    nodeTypes:
      m5.xlarge: {cpu: 4, memoryGib: 16, hour: 0.192, reservedHour: 0.121}
  rack: {cpuHour: 0.01, memoryGibHour: 0.001}
sharing: {namespaces: [kube-system], cost: proportional, idle: even}
"""


def test_a_list_is_read(tmp_path):
    path = tmp_path / "prices.yaml"
    path.write_text(GOOD)
    found = read_prices(path)
    assert (found.currency, found.sharing, found.idle, found.shared) == ("EUR", Sharing.PROPORTIONAL, Sharing.EVEN, ("kube-system",))
    assert found.cloud().name == "aws"
    assert found.cloud("rack").cpu == 0.01
    aws = found.cloud("aws")
    assert aws.node_hour("m5.xlarge", Purchase.RESERVED) == 0.121
    assert aws.node_hour("m5.xlarge", Purchase.SPOT) == pytest.approx(0.192 * 0.4)
    assert aws.node_hour("odd", Purchase.SPOT) is None
    assert aws.factor("m5.xlarge", Purchase.ON_DEMAND) == pytest.approx(0.192 / (4 * 0.03 + 16 * 0.004))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("cpuHour: 0.03", "cpuHuor: 0.03", "prices.yaml:7: clouds.aws.cpuHuor: unknown key 'cpuHuor'; did you mean 'cpuHour'?"),
        ("hour: 0.192", "hour: -1", "prices.yaml:12: clouds.aws.nodeTypes.m5.xlarge.hour: must be greater than or equal to 0"),
        ("currency: EUR", "currency: euro", "prices.yaml:4: currency: 'euro' is not allowed"),
        ("cost: proportional", "cost: fair", "prices.yaml:14: sharing.cost: 'fair' is not allowed"),
        ("kind: PriceList", "kind: Prices", "prices.yaml:2: kind: 'Prices' is not allowed"),
        ("cpuHour: 0.01, memoryGibHour: 0.001", "cpuHour: 0, memoryGibHour: 0", "clouds.rack: cpuHour and memoryGibHour are both 0"),
    ],
)
def test_problems_name_line_and_key(tmp_path, old, new, said):
    path = tmp_path / "prices.yaml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(DefinitionError) as raised:
        read_prices(path)
    assert said in str(raised.value)
