"""Sessions to measure with: the recorded ones where they are, else made-up ones of much the same shape."""

import random

import support_path  # noqa: F401

import weka

GENERATED_SESSIONS = 350
SEED = 7


def sessions() -> tuple[list[weka.Session], str]:
    """The sessions, and in words where they are from."""
    folder = weka.folder()
    if folder:
        found = weka.sessions(folder)
        return found, f"{len(found)} recorded coding-agent sessions"
    chance = random.Random(SEED)
    made = [_session(f"made-{number:04}", chance) for number in range(GENERATED_SESSIONS)]
    return made, f"{len(made)} generated sessions (no recorded ones in {weka.data_folder()})"


def _session(session_id: str, chance: random.Random) -> weka.Session:
    """As the recorded ones: median 3 actions, and median 6 calls an action, log-normal with a long tail."""
    actions = [_action(session_id, number, chance) for number in range(_log_normal(3, 1.0, 60, chance))]
    return weka.Session(session_id, tuple(actions))


def _action(session_id: str, number: int, chance: random.Random) -> weka.Action:
    calls = _log_normal(6, 1.3, 400, chance)
    size = chance.randrange(15_000, 120_000)
    return weka.Action(
        tuple(
            weka.Call(
                key=f"{session_id}/{number}.{place}",
                model=chance.choice(["claude-opus-4-5-20251101", "claude-sonnet-4-5-20250929"]),
                input_tokens=size + 900 * place,
                cached_tokens=(size + 900 * (place - 1)) // 64 * 64,
                output_tokens=_log_normal(200, 1.0, 8_000, chance),
                streamed=chance.random() < 0.01,
                used_tools=place < calls - 1,
                duration_s=_log_normal(6, 0.8, 300, chance),
            )
            for place in range(calls)
        )
    )


def _log_normal(middle: float, spread: float, most: int, chance: random.Random) -> int:
    return min(most, max(1, round(middle * chance.lognormvariate(0, spread))))
