"""What the plugin grafana-clickhouse-datasource takes as a query: raw SQL and the form of the answer.

Formats and field names are those of the plugin 4.20 (src/types/sql.ts): 0 series, 1 table, 3 trace.
"""

from typing import Any

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import DataSourceRef

PLUGIN = "grafana-clickhouse-datasource"
SOURCE = DataSourceRef(type_val=PLUGIN, uid="${datasource}")
FORMATS = {"timeseries": 0, "table": 1, "traces": 3}


class ClickHouse(Dataquery, Builder[Dataquery]):
    """One target of a panel."""

    def __init__(self, sql: str, kind: str, ref_id: str = "A") -> None:
        self.sql, self.kind, self.ref_id = sql.strip(), kind, ref_id

    def build(self) -> Dataquery:
        return self

    def to_json(self) -> dict[str, object]:
        return {
            "refId": self.ref_id,
            "datasource": SOURCE,
            "editorType": "sql",
            "queryType": self.kind,
            "format": FORMATS[self.kind],
            "rawSql": self.sql,
        }


def variable_query(sql: str) -> dict[str, Any]:
    """The query of a variable."""
    return {"editorType": "sql", "rawSql": sql.strip()}
