"""Bodies of HTTP/1.1 answers, however their bytes are cut on the way."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanlight.capture.framing import Chunked, Counted, UntilClosed, framing_of


def cut(data: bytes, places: list[int]) -> list[bytes]:
    at = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(at)]


@given(
    chunks=st.lists(st.binary(min_size=1, max_size=40)),
    extension=st.sampled_from([b"", b";a=b"]),
    trailer=st.sampled_from([b"\r\n", b"x: y\r\n\r\n"]),
    places=st.lists(st.integers(min_value=0)),
)
def test_chunks_are_put_together(
    chunks: list[bytes], extension: bytes, trailer: bytes, places: list[int]
) -> None:
    """Written by RFC 9112, section 7.1."""
    wire = b"".join(b"%x%s\r\n%s\r\n" % (len(chunk), extension, chunk) for chunk in chunks)
    framing = Chunked()
    body = b""
    for part in cut(wire, places):
        assert not framing.ended
        body += framing.take(part)
    assert (body, framing.ended) == (b"".join(chunks), False)
    for part in cut(b"0\r\n" + trailer, places):
        assert framing.take(part) == b""
    assert framing.ended


@pytest.mark.parametrize("line", [b"no size\r\n", b"\r\n", b"-\r\n"])
def test_what_is_no_chunk_ends_nothing(line: bytes) -> None:
    framing = Chunked()
    assert framing.take(line + b"5\r\nhello\r\n0\r\n\r\n") == b""
    assert not framing.ended


def test_a_length_says_where_a_body_ends() -> None:
    framing = Counted(5)
    assert (framing.take(b"hel"), framing.ended) == (b"hel", False)
    assert (framing.take(b"lo"), framing.ended) == (b"lo", True)


def test_the_headers_say_how_a_body_is_framed() -> None:
    assert isinstance(framing_of(True, 5), Chunked)
    assert isinstance(framing_of(False, None), UntilClosed)
    assert framing_of(False, 0).ended
