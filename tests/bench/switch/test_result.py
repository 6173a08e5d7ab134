"""Results: what was recorded is read, and written again as it was."""

import json
import pathlib

import pytest

from dysr_jax.bench.switch.result import FailedStrategy, SwitchResult

RESULTS = pathlib.Path(__file__).parents[3] / "experiments" / "results"


@pytest.mark.parametrize("name", ["switch_h200.json", "switch_quickstart_cpu.json"])
def test_recorded_results_go_through_the_types(name):
    recorded = json.loads((RESULTS / name).read_text())
    result = SwitchResult.from_json(recorded)
    assert json.dumps(result.to_json()) == json.dumps(recorded)  # the order of keys too
    assert list(result.finished) == [row["name"] for row in recorded["strategies"]]
    assert result.finished["fused"].max_abs_diff == recorded["strategies"][0]["levels_off"]
    assert result.failures == {}


def test_a_strategy_that_failed_is_its_name_and_the_reason():
    recorded = {
        **{"device": "a toaster", "frame": [6, 8], "scale": 2, "dtype": "float32", "fps": 5.0},
        **{"members": [], "left_out": [], "strategies": [{"name": "fused", "failed": "it melted"}]},
    }
    result = SwitchResult.from_json(recorded)
    assert result.strategies == (FailedStrategy("fused", "it melted"),)
    assert (result.failures, result.finished) == ({"fused": "it melted"}, {})
    assert result.to_json() == recorded
