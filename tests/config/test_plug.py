"""`policy = "module:Class"`: an operator's own class, or the reason why it cannot be used."""

import sys
from pathlib import Path

import pytest

from mobike.config.plug import SHIPPED, PlugError, load_policy
from mobike.policy.choose import OrderedPolicy

MODULE = """
from mobike.policy.choose import OrderedPolicy

class Backwards(OrderedPolicy):
    def rank(self, situation):
        return tuple(reversed(super().rank(situation)))

class Half:
    def choose(self, situation): ...

class Asks:
    def __init__(self, question): ...
    def choose(self, situation): ...
    def rank(self, situation): ...

number = 7
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site_policy.py").write_text(MODULE)
    (tmp_path / "broken_policy.py").write_text("raise RuntimeError('not today')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "site_policy", raising=False)


@pytest.mark.usefixtures("site")
def test_an_operators_class_is_loaded_and_the_shipped_one_is_one_too() -> None:
    assert type(load_policy("site_policy:Backwards")).__name__ == "Backwards"
    assert isinstance(load_policy(SHIPPED), OrderedPolicy)


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("site_policy", 'must be "module:Class"'),
        ("site_policy:", 'must be "module:Class"'),
        ("nowhere.at_all:Policy", "there is no module nowhere"),
        ("site_policy:Missing", "module site_policy has no class Missing"),
        ("site_policy:number", "module site_policy has no class number"),
        ("site_policy:Half", "Half has no method rank"),
        ("site_policy:Asks", "Asks() failed: TypeError"),
        ("broken_policy:Policy", "module broken_policy cannot be loaded: RuntimeError: not today"),
    ],
)
def test_what_is_missing_is_named(name: str, says: str) -> None:
    with pytest.raises(PlugError) as error:
        load_policy(name)
    assert says in str(error.value)
