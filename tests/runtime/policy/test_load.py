"""From what is typed to a policy."""

import sys

import pytest

from dysr_jax.errors import InputError
from dysr_jax.runtime.policy.adaptive import AdaptivePolicy
from dysr_jax.runtime.policy.base import CheckedPolicy, FixedPolicy, MemberTiming
from dysr_jax.runtime.policy.load import load_policy

MODULE = """
class Mine:
    def __init__(self, index=0):
        self.index = index
    def start(self, timings, deadline_ms):
        return None, timings[self.index].name
    def __call__(self, state, observation):
        return state, observation.member

class Needy(Mine):
    def __init__(self, index):
        super().__init__(index)

last = Mine(-1)
number = 3
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A current folder with modules in it; what they leave in the interpreter goes again."""
    (tmp_path / "policy_of_mine.py").write_text(MODULE)
    (tmp_path / "policy_that_fails.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_by_name():
    assert load_policy("adaptive") == AdaptivePolicy()
    assert load_policy("fixed:4id-u1") == FixedPolicy("4id-u1")
    assert load_policy("dysr_jax.runtime.policy.adaptive:AdaptivePolicy") == AdaptivePolicy()


@pytest.mark.parametrize(("name", "first"), [("Mine", "a"), ("last", "b")])
def test_of_a_module_in_the_current_folder(here, name, first):
    timings = [MemberTiming("a", 1.0, 30.0), MemberTiming("b", 2.0, 31.0)]
    assert CheckedPolicy(load_policy(f"policy_of_mine:{name}"), timings).start(33.0) == (None, first)


@pytest.mark.parametrize("text", ["", "fast", "fixed", "fixed:", ":x", "module:", "Adaptive"])
def test_what_is_none_of_them(text):
    with pytest.raises(InputError, match=f"policy {text!r}: must be adaptive; fixed:MEMBER"):
        load_policy(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no_such_module:x", "module 'no_such_module' cannot be imported .ModuleNotFoundError"),
        ("policy_that_fails:x", "'policy_that_fails' cannot be imported .ZeroDivisionError"),
        ("..:x", "module '..' cannot be imported"),
        ("policy_of_mine:x", "module 'policy_of_mine' has no 'x'"),
        ("policy_of_mine:number", "is 3: a policy has start"),
        ("policy_of_mine:Needy", "the class needs arguments"),
    ],
)
def test_what_is_no_policy(here, text, message):
    with pytest.raises(InputError, match=message) as caught:
        load_policy(text)
    assert "\n" not in str(caught.value)
    assert repr(text) in str(caught.value)
