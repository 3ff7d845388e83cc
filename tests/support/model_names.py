"""All model names in the recorded data: in bodies, paths, spans (JSON and protobuf), metrics and tables.

names_in(data_folder())["gpt-4o"]    # {"cassettes-openllmetry", ...}: the folders that it is in
"""

import csv
import gzip
import io
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

ATTRIBUTE = r"gen_ai\.(?:request|response)\.model|llm\.model_name|ai\.model\.id"
# A key and its text; quotes are escaped where a body is quoted in another file.
IN_BODIES = re.compile(
    rf'\\*"(?:model|model_id|model_name|modelId|modelVersion|{ATTRIBUTE})\\*"\s*:\s*\\*"([^"\\\s]{{1,100}})\\*"'
)
IN_SPANS = re.compile(rf'"(?:{ATTRIBUTE})",\s*"value":\s*\{{\s*"stringValue":\s*"([^"]+)"')
IN_PROTOBUF = re.compile(rf"(?:{ATTRIBUTE})\x12.\n(.)".encode(), re.DOTALL)  # the length of the text
IN_PATHS = re.compile(
    r"/models?/([\w.%@-]+(?::\d+)?)(?::(?:generate|stream|embed|count|batch)\w+|/(?:invoke|converse))"
)
IN_METRICS = re.compile(r'model_name="([^"]+)"')
COLUMNS = ("model", "model_path")


def names_in(folder: Path) -> dict[str, set[str]]:
    """Every name, and the data sets that it is in."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            for name in _names(file):
                found[name].add(file.relative_to(folder).parts[0])
    return dict(found)


def _names(file: Path) -> Iterator[str]:
    data = file.read_bytes()
    if file.suffix == ".gz":
        data = gzip.decompress(data)
    text = data.decode("utf-8", "ignore")
    for pattern in (IN_BODIES, IN_SPANS, IN_METRICS):
        yield from pattern.findall(text)
    yield from map(unquote, IN_PATHS.findall(text))
    for match in IN_PROTOBUF.finditer(data):
        yield data[match.end() : match.end() + match[1][0]].decode()
    if file.suffix == ".csv":
        for row in csv.DictReader(io.StringIO(text)):
            yield from (row[column] for column in COLUMNS if row.get(column))
