"""The variables of the dashboards, and the conditions that they put on a view.

`sqlstring` is Grafana's own format of a value: quoted, quotes within it doubled. A user is typed in, since a
list of all of them would be read at every start.
"""

from typing import Any

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard

from .query import PLUGIN, SOURCE, variable_query


def source() -> build.DatasourceVariable:
    return build.DatasourceVariable("datasource").label("Data source").type(PLUGIN)


def listed(name: str, label: str, sql: str) -> build.QueryVariable:
    """Any of the values that the query gives, or all."""
    return (
        build.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(variable_query(sql))
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
        .include_all(True)
        .multi(True)
        .current(dashboard.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def typed(name: str, label: str, description: str) -> build.TextBoxVariable:
    return build.TextBoxVariable(name).label(label).description(description).default_value("")


def chosen(name: str, label: str, *values: str) -> build.CustomVariable:
    """One or more of fixed values; the first is set."""
    return (
        build.CustomVariable(name)
        .label(label)
        .values(",".join(values))
        .multi(True)
        .include_all(True)
        .current(dashboard.VariableOption(selected=True, text=[values[0]], value=[values[0]]))
    )


def of_actions() -> list[Any]:
    """Service, environment, action, user, origin and workload, as the view `actions` has them."""
    return [
        source(),
        *(
            listed(name, label, f"SELECT DISTINCT {column} FROM actions WHERE $__timeFilter(started_at)")
            for name, label, column in (
                ("service", "Service", "service"),
                ("environment", "Environment", "environment"),
                ("action", "Action", "action_name"),
            )
        ),
        typed("user", "User", "One user; empty for all"),
        origin(),
        workload(),
    ]


def origin() -> build.CustomVariable:
    return chosen("origin", "Origin", "user", "schedule", "agent", "system")


def workload() -> build.CustomVariable:
    return chosen("workload", "Workload", "serving", "rl_rollout", "eval", "batch", "training")


def is_any_of(column: str, variable: str) -> str:
    return f"$__conditionalAll({column} IN (${{{variable}:sqlstring}}), ${variable})"


IS_USER = "(${user:sqlstring} = '' OR user_id = ${user:sqlstring})"
WHO = f"{is_any_of('origin', 'origin')} AND {is_any_of('workload', 'workload')}"
OF_ACTIONS = (
    "$__timeFilter(started_at)"
    f" AND {is_any_of('service', 'service')}"
    f" AND {is_any_of('environment', 'environment')}"
    f" AND {is_any_of('action_name', 'action')}"
    f" AND {IS_USER} AND {WHO}"
)
