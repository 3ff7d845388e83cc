"""Attribute values as text: what pcommon's Value.AsString gives, by its source and Go's encoding/json."""

import math

import pytest

from fanlight_collectors.otlp.values import double_text, value_text
from otlp_requests import any_value


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (-1.5, "-1.5"),
        (0.1, "0.1"),
        (100.0, "100"),
        (123456.789, "123456.789"),
        (1e-6, "0.000001"),  # ECMAScript's last plain one
        (1e-7, "1e-7"),
        (1.5e-9, "1.5e-9"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (5e-324, "5e-324"),
        (math.nan, "json: unsupported value: NaN"),
        (math.inf, "json: unsupported value: +Inf"),
        (-math.inf, "json: unsupported value: -Inf"),
    ],
)
def test_double_is_written_as_ecmascript_does(number: float, text: str) -> None:
    assert double_text(number) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("", ""),
        ("plain", "plain"),
        (True, "true"),
        (False, "false"),
        (-(2**63), "-9223372036854775808"),
        (b"\x00\xff", "AP8="),
        (b"", ""),
        ([], "[]"),
        ({}, "{}"),
        ([1, "a", None, True, 1.0, b"\x00"], '[1,"a",null,true,1,"AA=="]'),
        ({"b": 1, "a": {"c": [2.5]}}, '{"a":{"c":[2.5]},"b":1}'),
        (["<&>\u2028\x7f\x01\b\n"], '["\\u003c\\u0026\\u003e\\u2028\x7f\\u0001\\b\\n"]'),
        (["ü€𝄞"], '["ü€𝄞"]'),
        ([math.nan], ""),  # json.Marshal fails, and pcommon drops its error
    ],
)
def test_value_is_written_as_the_collector_does(value: object, text: str) -> None:
    assert value_text(any_value(value)) == text
