"""An OTLP attribute value as the text that the OpenTelemetry Collector's ClickHouse exporter stores.

The rules are those of `pcommon.Value.AsString` (go.opentelemetry.io/collector/pdata): booleans as true/false,
doubles as ECMAScript prints them, bytes in base64, arrays and key-value lists as JSON in the way that Go's
encoding/json writes it (keys sorted, `<`, `>` and `&` escaped).
"""

import base64
import json
import math
from collections.abc import Iterable
from typing import Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

_GO_HTML_ESCAPES: Final = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)
# ECMAScript Number::toString switches to an exponent outside this range; so do encoding/json and pcommon.
_EXPONENT_BELOW: Final = 1e-6
_EXPONENT_FROM: Final = 1e21


class _Unencodable(ValueError):
    """A NaN or infinity inside an array or list, which JSON cannot hold."""


def value_text(value: AnyValue) -> str:
    """The stored text of a value; an unset value is the empty string."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return value.string_value
    if kind == "int_value":
        return str(value.int_value)
    if kind == "bool_value":
        return "true" if value.bool_value else "false"
    if kind == "double_value":
        return double_text(value.double_value)
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode("ascii")
    if kind in ("array_value", "kvlist_value"):
        return _compound_text(value)
    return ""


def double_text(number: float) -> str:
    """A double as ECMAScript prints it (1, 0.5, 1e+21); what JSON cannot hold gets pcommon's error text."""
    if not math.isfinite(number):
        return f"json: unsupported value: {_go_special(number)}"
    return _finite_text(number)


def _go_special(number: float) -> str:
    if math.isnan(number):
        return "NaN"
    return "+Inf" if number > 0 else "-Inf"


def _finite_text(number: float) -> str:
    if number == 0:
        return "-0" if math.copysign(1, number) < 0 else "0"
    if _EXPONENT_BELOW <= abs(number) < _EXPONENT_FROM:
        return _plain_decimal(repr(number))
    mantissa, exponent = _scientific(repr(number))
    return f"{mantissa}e{'+' if exponent >= 0 else '-'}{abs(exponent)}"


def _digits(shortest: str) -> tuple[str, str, int]:
    """Sign, significant digits and decimal exponent of a number in Python's shortest repr."""
    sign = "-" if shortest.startswith("-") else ""
    base, _, exponent = shortest.lstrip("-").partition("e")
    whole, _, fraction = base.partition(".")
    digits = (whole + fraction).lstrip("0")
    leading = len(whole + fraction) - len(digits)
    place = len(whole) - leading - 1 + int(exponent or 0)
    return sign, digits.rstrip("0") or "0", place


def _plain_decimal(shortest: str) -> str:
    sign, digits, place = _digits(shortest)
    if place < 0:
        return f"{sign}0.{'0' * (-place - 1)}{digits}"
    if place + 1 >= len(digits):
        return f"{sign}{digits}{'0' * (place + 1 - len(digits))}"
    return f"{sign}{digits[: place + 1]}.{digits[place + 1 :]}"


def _scientific(shortest: str) -> tuple[str, int]:
    sign, digits, place = _digits(shortest)
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{rest}", place


def _compound_text(value: AnyValue) -> str:
    try:
        return _json_text(value)
    except _Unencodable:
        return ""  # pcommon drops json.Marshal's error and keeps the empty result


def _json_text(value: AnyValue) -> str:
    kind = value.WhichOneof("value")
    if kind == "kvlist_value":
        return _json_object(value.kvlist_value.values)
    if kind == "array_value":
        return "[" + ",".join(map(_json_text, value.array_value.values)) + "]"
    if kind == "string_value":
        return _json_string(value.string_value)
    if kind == "double_value":
        if not math.isfinite(value.double_value):
            raise _Unencodable
        return _finite_text(value.double_value)
    if kind == "bytes_value":
        # A nil byte slice, which is what an empty one is after pcommon's AsRaw, is null in Go's JSON.
        return f'"{value_text(value)}"' if value.bytes_value else "null"
    return value_text(value) if kind else "null"


def _json_object(pairs: Iterable[KeyValue]) -> str:
    last_wins = {pair.key: pair.value for pair in pairs}
    members = (
        f"{_json_string(key)}:{_json_text(last_wins[key])}" for key in sorted(last_wins, key=str.encode)
    )
    return "{" + ",".join(members) + "}"


def _json_string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).translate(_GO_HTML_ESCAPES)
