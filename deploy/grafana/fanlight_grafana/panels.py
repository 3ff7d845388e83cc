"""Panels of the few kinds that the dashboards use. A panel is 24 columns wide at most."""

from collections.abc import Mapping, Sequence
from typing import Any

from grafana_foundation_sdk.builders import barchart, common, stat, table, text, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard

from .query import SOURCE, ClickHouse

Link = tuple[str, str]  # what it says, where it leads
TRACE = ("Its cascade", "/d/fanlight-actions?var-action_id=${__value.raw}&${__url_time_range}")


def number(title: str, description: str, sql: str, *, unit: str = "short", width: int = 4) -> stat.Panel:
    """The columns of one row, each a number with its name."""
    return (
        _begun(stat.Panel(), title, description, sql, "table", width, 4)
        .unit(unit)
        .no_value("unknown")
        .graph_mode(common_models.BigValueGraphMode.NONE)
        .color_mode(common_models.BigValueColorMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).fields("/.*/").values(False))
    )


def series(
    title: str,
    description: str,
    sql: str,
    *,
    unit: str = "short",
    width: int = 12,
    stacked: bool = False,
    bars: bool = False,
    between: tuple[str, str] | None = None,
    least: float = 0,
    most: float | None = None,
    links: Sequence[Link] = (),
) -> timeseries.Panel:
    """Columns over `time`; a text column names the series. `between` fills the area of two bounds."""
    panel = (
        _begun(timeseries.Panel(), title, description, sql, "timeseries", width, 8)
        .unit(unit)
        .min(least)
        .interval("1m")
        .fill_opacity(25 if stacked or bars else 0)
        .legend(
            common.VizLegendOptions().show_legend(True).display_mode(common_models.LegendDisplayMode.LIST)
        )
        .tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI))
    )
    if bars:
        panel = panel.draw_style(common_models.GraphDrawStyle.BARS)
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL).group("A"))
    if most is not None:
        panel = panel.max(most)
    if between:
        low, high = between
        dashed = {"fill": "dash", "dash": [4, 4]}
        panel = panel.override_by_name(low, [_option("custom.lineStyle", dashed)])
        panel = panel.override_by_name(
            high,
            [
                _option("custom.lineStyle", dashed),
                _option("custom.fillBelowTo", low),
                _option("custom.fillOpacity", 10),
            ],
        )
    return panel.data_links(_links(links)) if links else panel


def bars(
    title: str,
    description: str,
    sql: str,
    x: str,
    *,
    unit: str = "short",
    width: int = 12,
    stacked: bool = False,
) -> barchart.Panel:
    """A bar for each row, at the text of the column `x`."""
    panel = (
        _begun(barchart.Panel(), title, description, sql, "table", width, 8)
        .unit(unit)
        .min(0)
        .x_field(x)
        .orientation(common_models.VizOrientation.VERTICAL)
        .show_value(common_models.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions().show_legend(True).display_mode(common_models.LegendDisplayMode.LIST)
        )
    )
    return panel.stacking(common_models.StackingMode.NORMAL) if stacked else panel


def rows(
    title: str,
    description: str,
    sql: str,
    *,
    units: Mapping[str, str] | None = None,
    links: Mapping[str, Link] | None = None,
    width: int = 24,
    height: int = 9,
) -> table.Panel:
    """A table; `units` and `links` by column."""
    panel = _begun(table.Panel(), title, description, sql, "table", width, height).no_value("unknown")
    for column, unit in (units or {}).items():
        panel = panel.override_by_name(column, [_option("unit", unit)])
    for column, link in (links or {}).items():
        panel = panel.override_by_name(column, [_option("links", [{"title": link[0], "url": link[1]}])])
    return panel


def trace(title: str, description: str, sql: str) -> build.Panel:
    """Grafana's own view of one trace."""
    return _begun(build.Panel().type("traces"), title, description, sql, "traces", 24, 24)


def says(title: str, content: str, *, width: int = 24, height: int = 4) -> text.Panel:
    return text.Panel().title(title).content(content).span(width).height(height)


def board(uid: str, title: str, description: str, variables: Sequence[Any]) -> build.Dashboard:
    """An empty dashboard with its variables and the links to the others."""
    made = (
        build.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["fanlight"])
        .time("now-7d", "now")
        .timezone("browser")
        .refresh("1m")
        .tooltip(dashboard.DashboardCursorSync.TOOLTIP)
        .editable()
        .link(
            build.DashboardLink("fanlight")
            .type(dashboard.DashboardLinkType.DASHBOARDS)
            .tags(["fanlight"])
            .as_dropdown(False)
            .keep_time(True)
        )
    )
    return made.variables(list(variables))


def _begun(panel: Any, title: str, description: str, sql: str, kind: str, width: int, height: int) -> Any:
    return (
        panel.title(title)
        .description(description)
        .datasource(SOURCE)
        .span(width)
        .height(height)
        .with_target(ClickHouse(sql, kind))
    )


def _option(name: str, value: object) -> dashboard.DynamicConfigValue:
    return dashboard.DynamicConfigValue(id_val=name, value=value)


def _links(links: Sequence[Link]) -> list[build.DashboardLink]:
    return [build.DashboardLink(says).type(dashboard.DashboardLinkType.LINK).url(url) for says, url in links]
