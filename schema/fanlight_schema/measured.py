"""Prices the hours in which engines and their GPUs were scraped by what the GPUs worked.

    measured.price_hours(store)     # gpu_rates then has the method `measured` for them

`fanlight up` does it every minute where a store has samples. Calls that are stored are not touched.
"""

from importlib import resources

from .store import Store

NEWEST_SAMPLE = "SELECT toUnixTimestamp(max(scraped_at)) FROM engine_samples"


def price_hours(store: Store) -> bool:
    """Brings the rates of measured hours up to what is known now; False if no engine was ever scraped."""
    if store.query(NEWEST_SAMPLE).rows[0][0] == 0:
        return False
    text = (resources.files("fanlight_schema") / "measured_rates.sql").read_text(encoding="utf-8")
    store.command(text)
    return True
