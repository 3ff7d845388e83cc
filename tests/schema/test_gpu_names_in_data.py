"""Every model name in the recorded data is in the catalogue, or is named here with the reason why not."""

import re

import pytest

from fanlight_schema.gpu import catalogue, closed
from model_names import names_in
from recordings import data_folder

UNKNOWN = {
    "embeddings, rerankings and moderations have no price of output tokens, nor a published size": [
        "embed-english-light-v3.0",
        "embedding",
        "gemini-embedding-001",
        "gemini-embedding-2",
        "mistral-embed",
        "models/gemini-embedding-001",
        "models/gemini-embedding-2",
        "omni-moderation-latest",
        "rerank-english-v3.0",
        "rerank-multilingual-v2.0",
        "text-embedding-3-large",
        "text-embedding-3-small",
        "text-embedding-ada-002",
        "text-embedding-ada-002-v2",
        "text-moderation-latest",
    ],
    "images and sound are priced otherwise than by tokens of text": [
        "dall-e-2",
        "gpt-4o-audio-preview",
        "gpt-image-1",
        "gpt-realtime-translate",
        "gpt-realtime-whisper",
        "voxtral-mini-latest",
        "Qwen/Qwen3-Omni-30B-A3B-Instruct",
    ],
    "made up by a test, or no model": [
        "OpenAIChat",
        "OpenAIResponses",
        "does-not-exist",
        "gpt-none",
        "non-existent-embedding-model",
        "non-existent-model",
        "nonexistent-model:latest",
        "openllmetry-testing",
        "there-is-no-such-model",
        "this-model-does-not-exist",
    ],
    "an alias that does not say which model or which size it is": ["haiku", "sonnet", "qwen3.6:latest"],
    "a system of several models": ["groq/compound"],
    "no price in genai-prices, and closed": ["claude-instant-1.2", "davinci:2023-07-21-v2", "qwen3-max"],
    "open, but its config.json was not found in public sources when the catalogue was made": [
        "facebook/opt-125m",
        "nvidia/NVIDIA-Nemotron-Nano-9B-v2",
        "nvidia/NVIDIA-Nemotron-Nano-12B-v2",
        "nvidia/NVIDIA-Nemotron-Nano-12B-v2-VL-BF16",
    ],
}
KNOWN_UNKNOWN = {name: why for why, names in UNKNOWN.items() for name in names}


@pytest.fixture(scope="module")
def names() -> dict[str, set[str]]:
    folder = data_folder()
    if folder is None:
        pytest.skip("no recorded data in ../shared/data; set FANLIGHT_TEST_DATA to its folder")
    return names_in(folder)


def rows_of(name: str) -> list[str]:
    rows = (*catalogue.models().values(), *closed.closed_models().values())
    return [row.name for row in rows if re.search(row.pattern, name)]


def test_every_name_is_one_row_of_the_catalogue_or_named_with_a_reason(names: dict[str, set[str]]) -> None:
    assert len(names) > 150  # of that many the folders speak; fewer means that they were not read
    found = {name: rows_of(name) for name in names if name not in KNOWN_UNKNOWN}
    assert {name: rows for name, rows in found.items() if len(rows) != 1} == {}


def test_what_is_named_as_unknown_is_in_the_data_and_in_no_row(names: dict[str, set[str]]) -> None:
    assert {name: rows_of(name) for name in KNOWN_UNKNOWN if rows_of(name)} == {}
    assert KNOWN_UNKNOWN.keys() - names.keys() == set()
