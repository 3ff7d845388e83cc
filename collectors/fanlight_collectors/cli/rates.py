"""`fanlight rates`: the cards that turn work into GPU-seconds."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import fields
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from fanlight_collectors.cli.errors import CommandError, unusable
from fanlight_collectors.cli.output import Cells, busy, show_cells, terminal, write_csv, write_text
from fanlight_collectors.cli.target import UP_SCHEMES, StoreOption, find_target, open_reader, read_rows
from fanlight_schema import migrate, refresh
from fanlight_schema.gpu import catalogue, seeds
from fanlight_schema.gpu.catalogue import REFERENCE_GPU
from fanlight_schema.gpu.config_json import IncompleteConfig, model_of
from fanlight_schema.gpu.pricing import FEATURES
from fanlight_schema.gpu.seeds import RateCard, columns
from fanlight_schema.store import open_store

if TYPE_CHECKING:
    from fanlight_collectors.rates.evaluation import Judged
    from fanlight_collectors.rates.reading import Reading
    from fanlight_collectors.rates.summary import Line

IF_UNKNOWN = "A model without a card has GPU-seconds NULL, never 0; fanlight doctor names it."
WAYS = (
    "fanlight rates add-model FILE|URL --name NAME    from its config.json",
    "fanlight rates import cards.csv                  rates of your own",
    "fanlight rates calibrate points.csv              rates from measurements",
)
NAMES = [field.name for field in fields(RateCard)]
SINCE = "valid_from"  # the column that a card has in a store beside those of a RateCard
EXPORTED = [*NAMES[:3], SINCE, *NAMES[3:]]
SHOWN = "model, hardware, profile, method, low_factor, high_factor, toUnixTimestamp(valid_from) AS since"
HEADINGS = ("model\n  hardware", "profile", "method", "low", "high", "since")
CARDS = "SELECT {} FROM gpu_rate_cards FINAL WHERE {} ORDER BY model, hardware, profile, valid_from"
TEXTS = ("model", "hardware", "profile", "precision", "method", "source")
BOUNDS = ("rates_low", "rates_high")  # lists in JSON; a file may lack them
OPERATOR_PRIORITY = 800  # before what fanlight ships
FETCH_TIMEOUT_S = 20.0
LARGEST_CONFIG = 4 << 20  # bytes; the largest that makers publish are some 100 KB
LARGEST_REPLICA = 2**16 - 1  # GPUs: gpu_rate_cards keeps them in a UInt16
METHODS = ("measured", "calibrated", "modelled", "price_implied")

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="CSV of serving points.", show_default=False)
]


def show(
    model: Annotated[
        str, typer.Option("--model", metavar="TEXT", help="Only cards of models whose name holds this.")
    ] = "",
    store: StoreOption = None,
) -> None:
    """Show the rate cards of a store: which GPUs serve a model, by whose method, with bounds.

    low and high: the bounds as shares of the value, of a closed model (price_implied) the widest of them.
    The rates themselves and their sources are in `rates export`.

    Examples:
      fanlight rates show --model llama
      fanlight rates export --model llama > cards.csv
    """
    with closing(open_reader(store)) as reader:
        cards = read_rows(reader, CARDS.format(SHOWN, _holds(model))).objects()
    console = terminal()
    if cards:
        show_cells(console, cells_of(cards))
    console.print(f"{len(cards):,} rate {'card' if len(cards) == 1 else 'cards'}\n", style="dim")
    console.print(f"{IF_UNKNOWN}\n" + "\n".join(f"  {way}" for way in WAYS))


def cells_of(cards: Sequence[Mapping[str, object]]) -> Cells:
    """Cards below a line with their model, narrow enough for 80 columns."""
    rows: list[list[str]] = []
    last = None
    for card in cards:
        if card["model"] != last:
            last = card["model"]
            rows.append([str(last), *[""] * (len(HEADINGS) - 1)])
        low, high = (f"{float(str(card[name])):.2g}" for name in ("low_factor", "high_factor"))
        since = datetime.fromtimestamp(int(str(card["since"])), timezone.utc)
        rows.append(
            [
                f"  {card['hardware']}",
                str(card["profile"]),
                str(card["method"]),
                low,
                high,
                f"{since:%Y-%m-%d}" if card["since"] else "ever",
            ]
        )
    return Cells(HEADINGS, [False, False, False, True, True, False], rows)


def export(
    model: Annotated[
        str, typer.Option("--model", metavar="TEXT", help="Only cards of models whose name holds this.")
    ] = "",
    store: StoreOption = None,
) -> None:
    """Print rate cards as CSV, in the form that `rates import` takes: imported elsewhere they are the same.

    Example:
      fanlight rates export --model llama > cards.csv
    """
    with closing(open_reader(store)) as reader:
        write_csv(read_rows(reader, CARDS.format(", ".join(EXPORTED), _holds(model))))


def import_cards(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV of rate cards.", show_default=False)],
    valid_from: Annotated[
        str | None,
        typer.Option(
            "--valid-from",
            metavar="TIME",
            help="Requests from this time on (UTC, YYYY-MM-DD hh:mm:ss); "
            "default: the file's column valid_from, or all of them.",
            show_default=False,
        ),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Write rate cards into a store. Figures of the past change at once; no stored row does.

    A card is used where a row of the table placements names its model, hardware and profile.

    Example:
      fanlight rates import cards.csv --store clickhouse://localhost
    """
    cards, since = read_cards(file)
    if valid_from is not None:
        since = [_option_seconds(valid_from)] * len(cards)
    url = _write(store, cards, since)
    write_text(f"{url}: {len(cards)} rate {'card' if len(cards) == 1 else 'cards'} written\n")


def calibrate(
    file: FileArgument,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the rate cards to this CSV.", show_default=False),
    ] = None,
    seeds: Annotated[
        int, typer.Option("--seeds", metavar="COUNT", min=1, help="Random halves; each is another shuffle.")
    ] = 20,
) -> None:
    """Fit rates to measured serving points, and tell how far off they are on points left out.

    FILE is a CSV of aiconfigurator's silicon samples or of Splitwise's performance model. Errors are
    relative, of points that the rates were not fitted to; intervals are nominal 90 %. It takes minutes.

    one TPOT: the error with one time per output token for a group. no batch: with rates that know tokens
    only. covered: the share of points inside their interval, high/low how wide that is.

    Examples:
      fanlight rates calibrate silicon_sample.csv
      fanlight rates calibrate silicon_sample.csv --out cards.csv
      fanlight rates import cards.csv
    """
    try:
        from fanlight_collectors.rates import cards, evaluation, reading, summary
    except ImportError as missing:
        raise unusable(f"calibration needs scipy ({missing}); pip install 'fanlight[collector]'") from missing
    try:
        read = reading.read_points(file)
    except reading.UnreadablePoints as error:
        raise CommandError(str(error)) from error
    console = terminal()
    show_reading(console, read)
    found = evaluation.groups(read.points)
    judged_groups = len(evaluation.large(found))
    console.print(
        f"{len(found)} groups of model, machine, backend and precision; "
        f"{judged_groups} have {evaluation.LEAST_SETTINGS} settings or more and are judged\n"
    )
    if not judged_groups:
        raise CommandError(f"{file} has no group with {evaluation.LEAST_SETTINGS} different settings")
    lines: list[Line] = []
    with busy("fitting") as shown:
        for split, judged in summary.all_splits(found, seeds, lambda name: _tell(shown, name)):
            lines.append(summary.summarise(split, judged))
            show_judged(console, split, judged)
        _tell(shown, "batch in doubt")
        doubt = summary.batch_in_doubt(found, min(seeds, 5))
        _tell(shown, "rate cards")
        written = cards.rate_cards(found, f"{file.name}, calibrated") if out is not None else []
    show_lines(console, lines)
    console.print(
        "median error where the batch is "
        + ", ".join(f"{case}: {error:.1%}" for case, error in doubt.items())
    )
    if out is not None:
        out.write_text(cards_csv(written), encoding="utf-8")
        console.print(f"{len(written)} rate cards in {out}; write them with: fanlight rates import {out}")


def add_model(
    config: Annotated[
        str,
        typer.Argument(metavar="FILE|URL", help="A config.json of Hugging Face.", show_default=False),
    ],
    name: Annotated[
        str,
        typer.Option("--name", metavar="NAME", help="What the model is to be called.", show_default=False),
    ],
    pattern: Annotated[
        str | None,
        typer.Option(
            "--pattern",
            metavar="RE2",
            help="Finds its spellings in the names that calls carry (default: names that end in it).",
            show_default=False,
        ),
    ] = None,
    hardware: Annotated[
        str,
        typer.Option(
            "--hardware", metavar="GPU", help="The GPU that serves it, as in `fanlight rates show`."
        ),
    ] = REFERENCE_GPU,
    store: StoreOption = None,
) -> None:
    """Give a model that fanlight does not know rate cards, from its architecture: method `modelled`.

    Its size is counted from the config's shapes. The figures of calls made already change at once.

    Examples:
      fanlight rates add-model ./config.json --name my-model-7b
      fanlight rates add-model https://models.example/config.json --name my-model
    """
    if hardware not in catalogue.hardware():
        raise unusable(f"--hardware is none of {', '.join(catalogue.hardware())}: {hardware!r}")
    try:
        model = model_of(read_config(config), name, f"config.json at {config}", pattern)
    except IncompleteConfig as error:
        raise CommandError(f"{config}: {error}") from error
    gpu = catalogue.hardware()[hardware]
    cards = [seeds.modelled_card(model, one) for one in catalogue.hardware().values()]
    place = seeds.placement(model, gpu, model.source, OPERATOR_PRIORITY)
    _write(store, cards, [0] * len(cards), [place])
    write_text(
        f"{model.name}: {model.parameters / 1e9:.1f} billion parameters, "
        f"{model.active_parameters / 1e9:.1f} active, {model.precision}; "
        f"calls of {model.pattern} are priced on {place.profile} of {hardware}\n"
    )


def read_config(place: str) -> dict[str, object]:
    """The JSON object of a file or URL; CommandError says what it is instead."""
    try:
        text = _fetch(place) if place.startswith(("http://", "https://")) else Path(place).read_text("utf-8")
        found = json.loads(text)
    except (OSError, ValueError) as error:
        raise CommandError(f"{place} cannot be read as JSON: {error}") from error
    if not isinstance(found, dict):
        raise CommandError(f"{place} is no config.json: it holds no JSON object")
    return found


def _fetch(url: str) -> str:
    import httpx

    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=FETCH_TIMEOUT_S) as answer:
            answer.raise_for_status()
            body = b""
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > LARGEST_CONFIG:
                    raise CommandError(f"{url} is larger than {LARGEST_CONFIG >> 20} MiB: no config.json")
    except httpx.HTTPError as error:
        raise CommandError(f"{url} cannot be fetched: {error}") from error
    return body.decode("utf-8")


def _write(
    store: str | None, cards: Sequence[RateCard], since: Sequence[int], places: Sequence[seeds.Placement] = ()
) -> str:
    """Writes cards and placements; the store's URL as it may be shown."""
    target = find_target(store, for_writing=True)
    if target.startswith(UP_SCHEMES):
        raise unusable(
            f"rate cards are written by the program that holds the store: stop the up at {target}, "
            "run this with --store and its folder, and start it again"
        )
    with closing(open_store(target)) as opened:
        migrate.apply(opened)
        opened.insert("gpu_rate_cards", {**columns(list(cards)), SINCE: since})
        if places:
            opened.insert("placements", columns(list(places)))
        refresh.price_now(opened)
        return opened.url


def show_reading(console: Console, read: "Reading") -> None:
    console.print(
        f"{read.rows:,} rows: {len(read.points):,} distinct points; "
        f"{read.repeats:,} the same measurement again; "
        f"{read.gpus_put_right:,} with tp x ep for the GPUs, put right"
    )
    for why, rows in read.left_out.most_common():
        console.print(f"  {rows:,} left out: {why}")


def show_judged(console: Console, split: str, judged: "Sequence[Judged]") -> None:
    """Every group of a split beside the simpler ways."""
    from fanlight_collectors.rates.evaluation import median_error

    ways = list(judged[0].baselines)
    rows = [
        [
            one.name,
            f"{one.points:,}",
            f"{one.error:.1%}",
            *(f"{median_error(one.baselines[way]):.0%}" for way in ways),
            f"{one.inside.mean():.0%}",
        ]
        for one in judged
    ]
    headings = [split, "points", "median error", *ways, "covered"]
    show_cells(console, Cells(headings, [False, *[True] * (len(headings) - 1)], rows))
    console.print()


def show_lines(console: Console, lines: "Sequence[Line]") -> None:
    headings = [
        "left out",
        "groups",
        "points",
        "median",
        "p90",
        "worst group",
        "groups <= 15 %",
        "covered",
        "high/low",
        "one TPOT",
        "no batch",
    ]
    rows = [
        [
            line.split,
            str(line.groups),
            f"{line.points:,}",
            f"{line.median:.1%}",
            f"{line.p90:.0%}",
            f"{line.worst:.0%}",
            f"{line.accepted:.0%}",
            f"{line.coverage:.0%}",
            f"{line.width:.2f}",
            *([f"{error:.0%}" for error in line.baselines.values()] or ["-", "-"]),
        ]
        for line in lines
    ]
    show_cells(console, Cells(headings, [False, *[True] * (len(headings) - 1)], rows), "errors and intervals")


def read_cards(file: Path) -> tuple[list[RateCard], list[int]]:
    """The cards of a CSV and since when each holds, in seconds of Unix time, 0 where the file does not say.

    CommandError names the line that is no card, or that another one contradicts.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} cannot be read: {error}") from error
    reader = csv.DictReader(io.StringIO(text))
    if missing := [name for name in NAMES if name not in (*BOUNDS, *(reader.fieldnames or ()))]:
        raise CommandError(
            f"{file} lacks the columns {', '.join(missing)}; `fanlight rates export` shows the form"
        )
    cards: list[RateCard] = []
    since: list[int] = []
    lines: dict[tuple[object, ...], int] = {}
    for number, row in enumerate(reader, 2):
        place = f"{file}, line {number}"
        cards.append(_card(row, place))
        since.append(_since(row.get(SINCE) or "", place))
        key = (*(row[name] for name in NAMES[:3]), since[-1])
        if key in lines:
            raise CommandError(f"{place}: line {lines[key]} has a card of the same {', '.join(EXPORTED[:4])}")
        lines[key] = number
    if not cards:
        raise CommandError(f"{file} has no rate card below its header")
    return cards, since


def cards_csv(cards: Sequence[RateCard]) -> str:
    """Cards as CSV with a header."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(NAMES)
    writer.writerows([_cell(getattr(card, name)) for name in NAMES] for card in cards)
    return buffer.getvalue()


def _cell(value: object) -> object:
    return json.dumps(value) if isinstance(value, tuple) else value


def _card(row: dict[str, str], place: str) -> RateCard:
    values: dict[str, object] = {}
    for name in NAMES:
        text = row.get(name)
        try:
            values[name] = _value(name, text)
        except (TypeError, ValueError) as error:
            raise CommandError(f"{place}: {name} is no number: {text!r}") from error
    card = RateCard(**values)  # type: ignore[arg-type]  # each by the type of its column, above
    numbers = [getattr(card, name) for name in NAMES if name not in (*TEXTS, *BOUNDS)]
    if not all(0 <= number < float("inf") for number in numbers):
        raise CommandError(f"{place}: every rate is a number of 0 or more")
    if not 1 <= card.gpus <= LARGEST_REPLICA:
        raise CommandError(f"{place}: gpus is no number from 1 to {LARGEST_REPLICA}: {card.gpus}")
    if not (card.dense_share <= 1 and card.expert_share <= 1):
        raise CommandError(f"{place}: dense_share and expert_share are shares, from 0 to 1")
    if not (card.model and card.hardware and card.profile and card.source and card.reference_factor):
        raise CommandError(f"{place}: needs a model, hardware, profile, source and reference_factor")
    if card.method not in METHODS:
        raise CommandError(f"{place}: method is none of {', '.join(METHODS)}: {card.method!r}")
    if not card.low_factor <= 1 <= card.high_factor:
        raise CommandError(f"{place}: needs low_factor <= 1 <= high_factor")
    if not _ordered(card):
        raise CommandError(f"{place}: rates_low and rates_high are 6 numbers each, in order, or empty")
    return card


def _value(name: str, text: str | None) -> object:
    """A cell by the type of its column; ValueError or TypeError where it is not of that."""
    if name in TEXTS:
        return text
    if name in BOUNDS:
        return tuple(float(one) for one in json.loads(text or "[]"))
    return int(text or "") if name == "gpus" else float(text or "")


def _ordered(card: RateCard) -> bool:
    """Whether the card's own bounds, if it has any, are in order and finite."""
    if not (card.rates_low or card.rates_high):
        return True
    pairs = (card.rates_low, card.rates_high)
    return all(len(one) == len(FEATURES) for one in pairs) and all(
        0 <= low <= high < float("inf") for low, high in zip(*pairs, strict=True)
    )


def _since(text: str, place: str) -> int:
    try:
        return _seconds(text) if text else 0
    except ValueError as error:
        raise CommandError(f"{place}: {SINCE} is no time: {text!r}") from error


def _option_seconds(text: str) -> int:
    try:
        return _seconds(text)
    except ValueError as error:
        raise unusable(f"--valid-from is no time: {text!r}; write it as 2026-11-27 00:00:00 (UTC)") from error


def _seconds(text: str) -> int:
    """Unix time of a time in UTC; ValueError where it is none or a DateTime cannot hold it."""
    found = datetime.fromisoformat(text)
    seconds = int((found if found.tzinfo else found.replace(tzinfo=timezone.utc)).timestamp())
    if not 0 <= seconds < 2**32:
        raise ValueError(text)
    return seconds


def _holds(model: str) -> str:
    quoted = model.replace("\\", "\\\\").replace("'", "\\'")
    return f"positionCaseInsensitive(model, '{quoted}') > 0" if model else "1"


def _tell(shown: object, what: str) -> None:
    update = getattr(shown, "update", None)
    if update is not None:
        update(what)
