"""What the README shows in Python runs as it stands."""

import pathlib
import re

import pytest

import dysr_jax
from dysr_jax.model.branches import BODY

README = pathlib.Path(__file__).parents[1] / "README.md"


@pytest.fixture(scope="module")
def blocks():
    found = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(found) == 6
    return found


def test_upscaling_with_the_weights_of_the_package(blocks):
    names: dict = {}
    exec(blocks[0], names)
    assert names["big"].shape == (80, 120, 3)


def test_a_policy_of_ones_own(blocks, capsys):
    names: dict = {}
    exec(blocks[1], names)
    exec(blocks[2], names)
    assert len(capsys.readouterr().out.splitlines()) == 2
    rungs = names["rungs"]
    policy = dysr_jax.runtime.policy.checked(names["Cautious"](), rungs)
    state, member = policy.start(40.0)
    assert member == "small"
    assert policy(state, dysr_jax.Observation(8.0, "small", 40.0))[1] == "middle"


def test_the_tour_of_the_api(blocks, tiny_run, monkeypatch):
    """With the tests' small run in place of the minutes of a whole one."""
    asked = []

    def run_search(config, out):
        asked.append((config, out))
        return tiny_run.bundle

    monkeypatch.setattr(dysr_jax, "run_search", run_search)
    names: dict = {}
    exec(blocks[3], names)
    assert asked == [(dysr_jax.load_config("quickstart"), "runs/mine")]
    scale = tiny_run.bundle.space.scale
    assert names["a"].shape == names["b"].shape == (180 * scale, 320 * scale, 3)


def test_adding_a_branch_and_searching_with_it(blocks, monkeypatch):
    searched = []
    monkeypatch.setattr(dysr_jax, "run_search", lambda *given: searched.append(given))
    names: dict = {}
    try:
        exec(blocks[4], names)
        exec(blocks[5], names)
        ((config, out),) = searched
        assert out == "runs/with_p1"
        assert "p1" in config.space.build().body[0]
        space = dysr_jax.uniform(slots=1, width=4, scale=2, branches=("id", "p1", "s3"))
        assert dysr_jax.parse_arch(space, "p1-u1") == (1, 0)
    finally:
        BODY.pop("p1", None)
