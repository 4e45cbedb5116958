"""The line of every key, against texts whose lines are known because we wrote them."""

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mobike.config.locate import Key, KeyLines


def test_every_way_to_write_a_key_is_found_in_its_line() -> None:
    text = """\
# a comment = with, [brackets]
top = 1
[a."b c".'d']        # [not.a.table]
x = "]"              # trailing
y.z = '''
long = "text"
[no.table]
'''
list = [
    "one", "two",
    # between
    { k = "v", deep = [1,
       2] },
]
when = 1979-05-27 07:32:00
[[links.rule]]
match = "eth*"
[[links.rule]]
match = "wlan*"
[links.rule.more]
n = 1
tricky = \"\"\"a\\\"\"\"\"\"\"
last = 1
"""
    lines = KeyLines(text)
    tomllib.loads(text)
    expected: dict[Key, int] = {
        ("top",): 2,
        ("a",): 3,
        ("a", "b c", "d"): 3,
        ("a", "b c", "d", "x"): 4,
        ("a", "b c", "d", "y", "z"): 5,
        ("a", "b c", "d", "list"): 9,
        ("a", "b c", "d", "list", 0): 10,
        ("a", "b c", "d", "list", 1): 10,
        ("a", "b c", "d", "list", 2): 12,
        ("a", "b c", "d", "list", 2, "k"): 12,
        ("a", "b c", "d", "list", 2, "deep", 1): 13,
        ("a", "b c", "d", "when"): 15,
        ("links",): 16,
        ("links", "rule", 0, "match"): 17,
        ("links", "rule", 1): 18,
        ("links", "rule", 1, "match"): 19,
        ("links", "rule", 1, "more", "n"): 21,
        ("links", "rule", 1, "more", "tricky"): 22,
        ("links", "rule", 1, "more", "last"): 23,
    }
    assert {key: lines[key] for key in expected} == expected


def test_a_key_that_is_not_there_is_looked_for_in_the_table_around_it() -> None:
    lines = KeyLines("\n[connections.office]\nrole = 'initiator'\n")
    assert lines["connections", "office", "remote"] == 2
    assert lines["connections", "office", "retransmit", "initial"] == 2
    assert lines["nowhere",] == 1


@dataclass
class Written:
    """A text in the making that remembers where it put each key."""

    text: str = ""
    lines: dict[Key, int] = field(default_factory=dict)

    def add(self, text: str) -> None:
        self.text += text

    def mark(self, key: Key) -> None:
        self.lines.setdefault(key, self.text.count("\n") + 1)


NAMES = st.text(alphabet="ab-_1", min_size=1, max_size=3) | st.text(alphabet="a.[]\"=# \\'é", max_size=4)
SCALARS = (
    st.integers(-5, 5)
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet="ab\"'#=[]{},\\\n é", max_size=6)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)
TABLES = st.dictionaries(NAMES, VALUES, max_size=4)
DOCUMENTS = st.dictionaries(NAMES, VALUES | TABLES | st.lists(TABLES, min_size=1, max_size=3), max_size=4)


@given(DOCUMENTS, st.data())
def test_whatever_is_written_is_found_where_it_was_written(document: dict[str, Any], data: st.DataObject) -> None:
    written = Written()
    _write_document(written, document, data)
    tomllib.loads(written.text)
    assert KeyLines(written.text).known() == written.lines


def _write_document(written: Written, document: dict[str, Any], data: st.DataObject) -> None:
    headed = {name for name, value in document.items() if _can_be_headed(value) and data.draw(st.booleans())}
    for name, value in document.items():
        if name not in headed:
            _write_pair(written, (), name, value, data)
    for name in headed:
        _blank(written, data)
        tables = document[name] if isinstance(document[name], list) else [document[name]]
        for position, table in enumerate(tables):
            inside: Key = (name,)
            written.mark(inside)
            if isinstance(document[name], list):
                inside = (name, position)
                written.mark(inside)
                written.add(f"[[ {_key(name, data)}]] # [{position}]\n")
            else:
                written.add(f"[{_key(name, data)} ]\r\n".replace("\r", ""))
            for key, value in table.items():
                _write_pair(written, inside, key, value, data)


def _can_be_headed(value: object) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)
    )


def _write_pair(written: Written, table: Key, name: str, value: Any, data: st.DataObject) -> None:
    _blank(written, data)
    written.mark((*table, name))
    written.add(f"{_key(name, data)} = ")
    _write_value(written, (*table, name), value, data)
    written.add(data.draw(st.sampled_from(["\n", " # x = [1]\n", "\t\n"])))


def _write_value(written: Written, key: Key, value: Any, data: st.DataObject) -> None:
    match value:
        case list():
            written.add("[")
            for position, item in enumerate(value):
                _blank(written, data)
                written.mark((*key, position))
                _write_value(written, (*key, position), item, data)
                written.add(" ,")
            _blank(written, data)
            written.add("]")
        case dict():
            written.add("{ ")
            for position, (name, item) in enumerate(value.items()):
                written.add(", " if position else "")
                written.mark((*key, name))
                written.add(f"{_key(name, data)}=")
                _write_value(written, (*key, name), item, data)
            written.add("}")
        case str():
            written.add(data.draw(st.sampled_from([*_spellings(value)])))
        case _:
            written.add(json.dumps(value))


def _spellings(text: str) -> Iterator[str]:
    yield json.dumps(text)
    yield (
        '"""'
        + text.replace("\\", "\\\\").replace('"""', '""\\"').removesuffix('"')
        + ('\\""""' if text.endswith('"') else '"""')
    )
    if "'" not in text:
        yield f"'''{text}'''"
        if "\n" not in text:
            yield f"'{text}'"


def _key(name: str, data: st.DataObject) -> str:
    bare = name.isascii() and name.replace("-", "a").replace("_", "a").isalnum()
    return name if bare and data.draw(st.booleans()) else json.dumps(name)


def _blank(written: Written, data: st.DataObject) -> None:
    if not written.text.endswith(("\n", "[", ",")) and written.text:
        return
    written.add(data.draw(st.sampled_from(["", "\n", "# [a]\n", "  \n\n"])))
