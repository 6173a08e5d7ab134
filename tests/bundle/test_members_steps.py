"""The steps between neighbours: the slots that change and the bytes that are not shared."""

import json

import jax
import pytest

from dysr_jax.bundle.members import SlotChange, member_steps
from dysr_jax.errors import InputError
from dysr_jax.model.names import parse_arch
from dysr_jax.model.sharing import step_costs, union_weight_bytes
from dysr_jax.model.space import arch_parameters, uniform_space
from dysr_jax.model.supernet import init_params, slot_name

SPACE = uniform_space(slots=3, widths=4, scale=2)
ARCHS = [parse_arch(SPACE, name) for name in ("3id-u1", "id-r1-id-u1", "id-r1-c3-u2")]


def test_the_slots_that_change():
    first, second = member_steps(SPACE, ARCHS)
    assert (first.source, first.target) == ("3id-u1", "id-r1-id-u1")
    assert (second.source, second.target) == ("id-r1-id-u1", "id-r1-c3-u2")
    assert first.slots == (SlotChange(1, "slot01", "id", "r1"),)
    assert second.slots == (SlotChange(2, "slot02", "id", "c3"), SlotChange(3, "upsampler", "u1", "u2"))


def test_a_slot_is_named_as_in_the_parameters():
    params = jax.eval_shape(lambda: init_params(jax.random.key(0), SPACE))
    names = {slot_name(SPACE, change.slot) for step in member_steps(SPACE, ARCHS) for change in step.slots}
    assert names == {change.name for step in member_steps(SPACE, ARCHS) for change in step.slots}
    assert names < set(params)


def test_the_bytes():
    for i, step in enumerate(member_steps(SPACE, ARCHS)):
        pair = ARCHS[i : i + 2]
        union = union_weight_bytes(SPACE, pair)
        assert step.shared_bytes + step.unshared_bytes == union
        assert step.shared_bytes + union == 4 * sum(arch_parameters(SPACE, arch) for arch in pair)
        assert step.cost == step_costs(SPACE, pair)[0, 1] > 0


def test_the_way_back_changes_the_same():
    (there,), (back,) = member_steps(SPACE, ARCHS[1:]), member_steps(SPACE, ARCHS[:0:-1])
    assert (there.shared_bytes, there.unshared_bytes) == (back.shared_bytes, back.unshared_bytes)
    assert there.cost == back.cost
    assert [(c.slot, c.old, c.new) for c in there.slots] == [(c.slot, c.new, c.old) for c in back.slots]


def test_one_member_has_no_step():
    assert member_steps(SPACE, ARCHS[:1]) == ()
    with pytest.raises(InputError, match="archs is empty"):
        member_steps(SPACE, [])


def test_a_step_as_json():
    step = member_steps(SPACE, ARCHS)[1]
    assert json.loads(json.dumps(step.to_json())) == {
        "from": "id-r1-id-u1",
        "to": "id-r1-c3-u2",
        "slots": [
            {"slot": 2, "name": "slot02", "from": "id", "to": "c3"},
            {"slot": 3, "name": "upsampler", "from": "u1", "to": "u2"},
        ],
        "shared_bytes": step.shared_bytes,
        "unshared_bytes": step.unshared_bytes,
        "cost": step.cost,
    }
