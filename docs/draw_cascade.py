"""Draw one action's cascade as an SVG: a row per span, wide as it lasted, right of what set it off.

    fanlight demo
    python docs/draw_cascade.py ACTION_ID > docs/cascade.svg

The spans come from `fanlight sql`, so it needs the store of the current folder or FANLIGHT_STORE.
"""

import json
import subprocess
import sys
from html import escape

SPANS = """
SELECT SpanId AS id, ParentSpanId AS parent, SpanName AS name, SpanAttributes['fanlight.role'] AS role,
    toUnixTimestamp64Nano(Timestamp) / 1e9 AS start_s, Duration / 1e9 AS duration_s,
    SpanAttributes['fanlight.requests'] AS requests, SpanAttributes['http.response.status_code'] AS status
FROM otel_traces WHERE SpanAttributes['fanlight.action.id'] = '{action_id}' ORDER BY Timestamp
"""
COLOURS = {
    "action": "#334155",
    "agent": "#6366f1",
    "tool": "#94a3b8",
    "call": "#f59e0b",
    "request": "#fcd34d",
}
FAILED = "#dc2626"
ROW_PX, LABEL_PX, WIDTH_PX, TOP_PX = 17, 300, 980, 44


def read_spans(action_id: str) -> list[dict]:
    command = ["fanlight", "sql", "--format", "json", SPANS.format(action_id=action_id)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def in_tree_order(spans: list[dict]) -> list[tuple[int, dict]]:
    children: dict[str, list[dict]] = {}
    known = {span["id"] for span in spans}
    for span in spans:
        children.setdefault(span["parent"] if span["parent"] in known else "", []).append(span)
    rows: list[tuple[int, dict]] = []

    def descend(parent: str, depth: int) -> None:
        for span in children.get(parent, []):
            rows.append((depth, span))
            descend(span["id"], depth + 1)

    descend("", 0)
    return rows


def draw(spans: list[dict]) -> str:
    rows = in_tree_order(spans)
    begin = min(span["start_s"] for span in spans)
    length = max(span["start_s"] + span["duration_s"] for span in spans) - begin
    scale = (WIDTH_PX - LABEL_PX - 20) / length
    calls = sum(span["role"] == "call" for span in spans)
    requests = sum(int(span["requests"] or 0) for span in spans if span["role"] == "call")
    height = TOP_PX + ROW_PX * len(rows) + 12
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH_PX} {height}" width="{WIDTH_PX}" '
        f'font-family="ui-sans-serif, system-ui, sans-serif" font-size="11">',
        f'<rect width="{WIDTH_PX}" height="{height}" fill="#ffffff"/>',
        '<text x="12" y="24" font-size="14" font-weight="600" fill="#0f172a">'
        f"1 user action, {calls} model calls, {requests} requests, {length:.1f} s</text>",
        *legend(),
    ]
    for number, (depth, span) in enumerate(rows):
        y = TOP_PX + number * ROW_PX
        failed = span["role"] == "request" and span["status"] not in ("", "200")
        colour = FAILED if failed else COLOURS.get(span["role"], "#cbd5e1")
        label = f"{span['name']} → {span['status']}" if span["role"] == "request" else span["name"]
        x = LABEL_PX + (span["start_s"] - begin) * scale
        width = max(2.0, span["duration_s"] * scale)
        out.append(f'<text x="{12 + depth * 14}" y="{y + 12}" fill="#334155">{escape(label)}</text>')
        out.append(f'<rect x="{x:.1f}" y="{y + 3}" width="{width:.1f}" height="11" rx="2" fill="{colour}"/>')
    return "\n".join([*out, "</svg>", ""])


def legend() -> list[str]:
    marks = [*COLOURS.items(), ("failed, sent again", FAILED)]
    parts, x = [], LABEL_PX + 170
    for label, colour in marks:
        parts.append(f'<rect x="{x}" y="15" width="11" height="11" rx="2" fill="{colour}"/>')
        parts.append(f'<text x="{x + 16}" y="24" fill="#475569">{label}</text>')
        x += 34 + 6.2 * len(label)
    return parts


if __name__ == "__main__":
    sys.stdout.write(draw(read_spans(sys.argv[1])))
