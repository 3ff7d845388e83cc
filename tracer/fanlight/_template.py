"""What the spans of one kind have in common, encoded once: what is left of a span are a few numbers.

template_of("chat gpt-4o", "call", SpanKind.CLIENT).encoded
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from opentelemetry.trace import SpanKind
from opentelemetry.util.types import AttributeValue

from fanlight._otlp import SAID, encode_attributes, encode_kind, encode_name
from fanlight_schema import attributes as names
from fanlight_schema.attributes import SpanRole

KEPT_TEMPLATES = 512  # about 1 KB each; names are few, and one that is made up for a call is soon let go


class Said:
    """Attributes that many spans end with alike. Shared by spans, so never changed."""

    __slots__ = ("attributes", "encoded")

    def __init__(self, attributes: Mapping[str, AttributeValue]) -> None:
        self.attributes = attributes
        self.encoded = encode_attributes(SAID, attributes)  # as fields of a span


class Template:
    """A span's name, role, kind and first attributes. Shared by spans, so never changed."""

    __slots__ = ("attributes", "encoded", "head", "kind", "name", "role")

    def __init__(
        self, name: str, role: SpanRole, kind: SpanKind, attributes: Mapping[str, AttributeValue]
    ) -> None:
        self.name = name
        self.role: SpanRole = role
        self.kind = kind
        self.attributes: Mapping[str, AttributeValue] = {names.ROLE: role, **attributes}
        self.head = encode_name(name) + encode_kind(kind)  # two fields of a span
        self.encoded = encode_attributes(SAID, self.attributes)  # as fields of a span


@lru_cache(maxsize=KEPT_TEMPLATES)
def template_of(name: str, role: SpanRole, kind: SpanKind) -> Template:
    """A template that says nothing but what the span is."""
    return Template(name, role, kind, {})
