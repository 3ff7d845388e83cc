"""Facts from parseQueryToJSON, which ClickHouse has since 26.8: the whole tree, nothing left out."""

from collections.abc import Iterator, Mapping

from fanlight_collectors.sqlguard.facts import Facts

_FUNCTION_KEYS = ("func_name",)  # of `* APPLY name`


def facts_of_json(tree: Mapping[str, object]) -> Facts:
    facts = Facts(root=str(tree.get("type", "")))
    facts.has_outfile = "out_file" in tree
    form = tree.get("format_ast")
    facts.format = str(form.get("name", "?")) if isinstance(form, Mapping) else ""
    for node in _nodes({key: value for key, value in tree.items() if key != "format_ast"}):
        _note(facts, node)
    return facts


def _nodes(value: object) -> Iterator[Mapping[str, object]]:
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, Mapping):
            yield item
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)


def _note(facts: Facts, node: Mapping[str, object]) -> None:
    kind = node.get("type")
    if "out_file" in node:
        facts.has_outfile = True
    facts.functions.update(str(node[key]) for key in _FUNCTION_KEYS if key in node)
    table_function = node.get("table_function")
    if isinstance(table_function, Mapping):
        facts.table_functions.add(str(table_function.get("name")))
    if not isinstance(kind, str):
        return
    facts.kinds.add(kind)
    if kind == "Function":
        facts.functions.add(str(node.get("name")))
    elif kind == "TableIdentifier":
        facts.tables.add(_parts(node))
    elif kind == "Identifier" and len(_parts(node)) > 1:
        facts.identifiers.add(_parts(node))
    elif kind == "SetQuery":
        facts.has_settings = True
    elif kind == "QueryParameter":
        facts.parameters[str(node.get("name"))] = str(node.get("param_type"))


def _parts(node: Mapping[str, object]) -> tuple[str, ...]:
    parts = node.get("name_parts")
    return tuple(map(str, parts)) if isinstance(parts, list) else (str(node.get("name", "")),)
