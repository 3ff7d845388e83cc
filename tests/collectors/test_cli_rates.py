"""`fanlight rates` as a user types it: from serving points to the figures of a store."""

import csv
import json
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

import serving_points
from fanlight_cli import run_cli
from fanlight_collectors.cli.errors import CommandError
from fanlight_collectors.cli.rates import cards_csv, read_cards
from fanlight_schema.gpu import catalogue, seeds
from otlp_requests import key_values, to_json
from serving_points import SIZES, Truth

ASKED = "meta-llama/Llama-3.1-8B-Instruct"


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with points.csv and the cards.csv that calibration made of it, and what it said."""
    folder = tmp_path_factory.mktemp("rates")
    made = serving_points.points(truth=Truth(slower=2.0, noise=0.03))
    text = serving_points.silicon_csv(made, ASKED)
    (folder / "points.csv").write_text(text + text.splitlines()[1].replace("h100_sxm", "abacus") + "\n")
    done = run_cli("rates", "calibrate", "points.csv", "--out", "cards.csv", "--seeds", "2", folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return folder, done.stdout


def test_calibration_tells_what_it_read_and_how_far_off_it_is(calibrated: tuple[Path, str]) -> None:
    said = calibrated[1]
    assert "65 rows: 64 distinct points" in said
    assert "1 left out: hardware 'abacus' is not in the catalogue" in said
    for split in (
        "random half",
        "batch left out",
        "lengths left out",
        "GPUs left out",
        "one TPOT",
        "no batch",
    ):
        assert split in said
    assert "median error where the batch is known" in said
    assert "fanlight rates import cards.csv" in said


def test_a_card_of_each_size_carries_the_measured_rates_and_bounds(calibrated: tuple[Path, str]) -> None:
    with (calibrated[0] / "cards.csv").open() as file:
        cards = list(csv.DictReader(file))
    assert [(card["profile"], card["gpus"]) for card in cards] == [
        (f"tp{gpus}-bf16-vllm", str(gpus)) for gpus in serving_points.SIZES
    ]
    for card in cards:
        assert card["method"] == "calibrated"
        assert 0.5 < float(card["low_factor"]) <= 1 <= float(card["high_factor"]) < 2
        made = serving_points.rates("Llama-3.1-8B", "H100 SXM", int(card["gpus"]), Truth(slower=2.0))
        assert float(card["r_w"]) == pytest.approx(made.r_w, rel=0.2)


def test_cards_go_into_a_store_and_come_out_of_it(calibrated: tuple[Path, str]) -> None:
    folder = calibrated[0]
    written = run_cli("rates", "import", "cards.csv", "--store", "data", folder=folder)
    assert (written.returncode, written.stderr) == (0, "")
    assert "4 rate cards written" in written.stdout
    shown = run_cli("rates", "show", "--model", "llama-3.1-8b", "--store", "data", folder=folder)
    assert shown.stdout.count("calibrated") >= 4
    out = run_cli("rates", "export", "--model", "Llama-3.1-8B", "--store", "data", folder=folder)
    exported = {row["profile"]: row for row in csv.DictReader(out.stdout.splitlines())}
    for card in csv.DictReader((folder / "cards.csv").read_text().splitlines()):
        kept = {name: exported[card["profile"]][name] for name in card}
        assert {name: value_of(text) for name, text in kept.items()} == {
            name: value_of(text) for name, text in card.items()
        }


def test_cards_fit_80_columns_and_end_with_what_to_do_for_a_model_that_has_none(
    tmp_path: Path,
) -> None:
    """All that fanlight ships, and one that nobody knows."""
    applied = run_cli("schema", "apply", "--store", "data", folder=tmp_path)
    assert applied.returncode == 0
    shown = run_cli("rates", "show", "--store", "data", folder=tmp_path, columns=80)
    assert (shown.returncode, shown.stderr) == (0, "")
    lines = shown.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in shown.stdout
    names = {line.strip() for line in lines}
    assert set(catalogue.models()) | {card.model for card, _ in seeds.closed_cards()} <= names
    none = run_cli("rates", "show", "--model", "nobody", "--store", "data", folder=tmp_path, columns=80)
    for said in (shown.stdout, none.stdout):
        last = said.splitlines()[-4:]
        assert last[0].startswith("A model without a card has GPU-seconds NULL, never 0")
        assert "rates add-model" in last[1]
    assert none.stdout.startswith("0 rate cards")


def test_the_bounds_of_a_closed_model_come_out_as_they_went_in(tmp_path: Path) -> None:
    assert run_cli("schema", "apply", "--store", "one", folder=tmp_path).returncode == 0
    out = run_cli("rates", "export", "--model", "gpt-5", "--store", "one", folder=tmp_path)
    (tmp_path / "cards.csv").write_text(out.stdout)
    cards, since = read_cards(tmp_path / "cards.csv")
    shipped = [(card, when) for card, when in seeds.closed_cards() if "gpt-5" in card.model]
    assert sorted(zip(cards, since, strict=True), key=str) == sorted(shipped, key=str)


@pytest.mark.parametrize(
    "bounds", ["[1, 2]", "[0, 1, 0, 1, 0, NaN]", "[9, 9, 9, 9, 9, 9]", "[0, -1, 0, 0, 0, 0]", "many"]
)
def test_bounds_that_are_none_write_nothing(tmp_path: Path, bounds: str) -> None:
    card, _ = seeds.closed_cards()[0]
    text = cards_csv([card])
    low = json.dumps(list(card.rates_low))
    assert low in text
    (tmp_path / "wrong.csv").write_text(text.replace(low, bounds))
    with pytest.raises(CommandError, match=r"line 2: rates_low"):
        read_cards(tmp_path / "wrong.csv")


@pytest.mark.slow
def test_what_is_exported_is_the_same_in_another_store(calibrated: tuple[Path, str], tmp_path: Path) -> None:
    """Every column, and since when each card holds."""
    (tmp_path / "cards.csv").write_text((calibrated[0] / "cards.csv").read_text())
    since = "2026-03-01 12:00:00"
    for store, file, options in (
        ("one", "cards.csv", ["--valid-from", since]),
        ("two", "exported.csv", []),
    ):
        done = run_cli("rates", "import", file, *options, "--store", store, folder=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        exported = run_cli("rates", "export", "--store", store, folder=tmp_path).stdout
        (tmp_path / f"{store}.csv").write_text(exported)
        (tmp_path / "exported.csv").write_text(exported)
    assert exported.count(since) == len(SIZES)
    assert (tmp_path / "one.csv").read_text() == (tmp_path / "two.csv").read_text()


def value_of(text: str) -> float | str:
    """A cell as a number if it is one: ClickHouse writes 0 for Python's 0.0."""
    try:
        return float(text)
    except ValueError:
        return text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("low_factor", "slow"), "lacks the columns low_factor"),
        (("calibrated", "guessed"), "line 2: method is none of measured"),
        (("tp2-bf16-vllm", "tp1-bf16-vllm"), "line 3: line 2 has a card of the same model"),
        (("bf16,calibrated,0.0", "bf16,calibrated,nan"), "line 2: every rate is a number of 0 or more"),
        (("bf16,calibrated,0.0", "bf16,calibrated,-1"), "line 2: every rate is a number of 0 or more"),
        (
            ("Llama-3.1-8B,H100 SXM,tp1-bf16-vllm,1,", "Llama-3.1-8B,H100 SXM,tp1,none,"),
            "line 2: gpus is no number",
        ),
    ],
)
def test_a_file_that_is_no_card_writes_nothing(
    calibrated: tuple[Path, str], tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    text = (calibrated[0] / "cards.csv").read_text()
    assert change[0] in text
    (tmp_path / "wrong.csv").write_text(text.replace(*change))
    done = run_cli("rates", "import", "wrong.csv", "--store", "data", folder=tmp_path)
    assert done.returncode != 0
    assert said in done.stderr
    assert not (tmp_path / "data").exists()


def test_points_in_no_known_form_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("a,b\n1,2\n")
    done = run_cli("rates", "calibrate", "points.csv", folder=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "silicon_ttft_ms" in done.stderr


LLAMA_8B = {
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
}


def one_call_of(model: str) -> str:
    """OTLP/JSON of one chat call with 100 tokens in and 20 out."""
    attributes = {
        "fanlight.role": "call",
        "fanlight.wire": True,
        "fanlight.requests": 1,
        "fanlight.request.outcome": "answered",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": model,
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
    }
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    scope.scope.name = "fanlight"
    span = scope.spans.add(
        trace_id=b"t" * 16,
        span_id=b"s" * 8,
        name=f"chat {model}",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=1_795_400_000 * 10**9,
        end_time_unix_nano=1_795_400_001 * 10**9,
    )
    span.attributes.extend(key_values(attributes))
    return json.dumps(to_json(request))


def priced(folder: Path) -> tuple[float | None, str]:
    sql = "SELECT gpu_seconds, gpu_method FROM actions"
    done = run_cli("sql", sql, "--format", "json", "--store", "data", folder=folder)
    (found,) = json.loads(done.stdout)
    return found["gpu_seconds"], found["gpu_method"]


def test_an_unknown_model_is_priced_once_its_config_is_added(tmp_path: Path) -> None:
    """The same call before and after: nothing that is stored of it changes."""
    (tmp_path / "config.json").write_text(json.dumps(LLAMA_8B))
    (tmp_path / "spans.json").write_text(one_call_of("acme/own-8b"))
    assert run_cli("import", "spans.json", "--store", "data", folder=tmp_path).returncode == 0
    assert priced(tmp_path) == (None, "unknown")
    added = run_cli(
        "rates", "add-model", "config.json", "--name", "own-8b", "--store", "data", folder=tmp_path
    )
    assert (added.returncode, added.stderr) == (0, "")
    assert "own-8b: 8.0 billion parameters, 8.0 active, bf16" in added.stdout
    seconds, method = priced(tmp_path)
    assert seconds is not None
    assert seconds > 0
    assert method.startswith("modelled")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"hidden_size": 4096}', "config.json has no num_hidden_layers or n_layer"),
        ("[]", "holds no JSON object"),
        ("<html>", "cannot be read as JSON"),
    ],
)
def test_a_config_that_is_none_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "config.json").write_text(text)
    done = run_cli("rates", "add-model", "config.json", "--name", "m", "--store", "data", folder=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert said in done.stderr
    assert not (tmp_path / "data").exists()
