"""What the core counts, as its sources say: names as `counters()` gives them, and the words that stand with each."""

import re
from pathlib import Path
from typing import Final

_RUST: Final = Path(__file__).parents[2] / "rust"
_COUNTER: Final = re.compile(r"((?:\s*///[^\n]*\n)+)\s*(\w+),\n")
_SOURCES: Final = {"ike": "ike/src/counters.rs", "esp": "esp/src/totals.rs", "io": "io/src/counters.rs"}


def counted() -> dict[str, str]:
    """Every counter with its documentation."""
    found = {"ike_sas_closing": "", "esp_children": "", "io_shards": "", "io_shards_running": ""}
    for layer, source in _SOURCES.items():
        text = (_RUST / source).read_text()
        body = text[text.rindex("counters! {") :]
        for words, name in _COUNTER.findall(body[: body.index("\n}") + 1]):
            told = " ".join(line.strip().removeprefix("///").strip() for line in words.strip().splitlines())
            found[f"{layer}_{name.removeprefix('ike_') if layer == 'ike' else name}"] = told
    return found
