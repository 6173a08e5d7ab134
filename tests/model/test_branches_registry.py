"""Branches of one's own: registered in one line, refused where they cannot be."""

import math

import jax
import numpy as np
import pytest

from dysr_jax.errors import InputError
from dysr_jax.model.branches import BODY, Branch, KernelSpec, register_branch
from dysr_jax.model.names import parse_arch
from dysr_jax.model.space import SearchSpace, arch_parameters
from dysr_jax.model.supernet import Supernet, init_params, stored_kernels


class Mix(Branch):
    """What a reader of the tutorial writes: `x` times a matrix."""

    def reads(self, width, scale):
        return {"mix": KernelSpec((width, width))}

    def __call__(self, kernels, x, layers):
        return layers.pointwise(x, kernels["mix"])


@pytest.fixture
def mix():
    register_branch(BODY, "mix1", Mix())
    yield "mix1"
    del BODY["mix1"]


def test_a_branch_is_added_by_one_class_and_one_line(mix):
    space = SearchSpace((("id", mix), ("id", mix)), ("u1",), widths=4, scale=2)
    params = init_params(jax.random.key(0), space)
    lr = np.random.default_rng(0).random((1, 5, 6, 3), np.float32)
    apply = jax.jit(Supernet(space).apply, static_argnums=2)
    search = jax.jit(Supernet(space).apply)
    plain = apply({"params": params}, lr, (0, 0, 0))
    mixed = apply({"params": params}, lr, parse_arch(space, "id-mix1-u1"))
    assert not np.allclose(plain, mixed, atol=1e-4)
    # By hand: no branch but the new one is between head and upsampler.
    heads = params | {"head": jax.tree.map(lambda k: k @ params["slot01"]["mix"], params["head"])}
    np.testing.assert_allclose(apply({"params": heads}, lr, (0, 0, 0)), mixed, atol=1e-5)
    found = search({"params": params}, lr, np.array([0, 1, 0]))
    np.testing.assert_allclose(found, mixed, atol=1e-5)
    assert arch_parameters(space, (0, 1, 0)) - arch_parameters(space, (0, 0, 0)) == 4 * 4


@pytest.mark.parametrize("name", ["", "C3", "3c", "c-3", "c 3", "é1", "c3\n"])
def test_a_branch_needs_a_name_that_can_stand_in_an_arch_name(name):
    registry = {}
    with pytest.raises(InputError) as error:
        register_branch(registry, name, Mix())
    assert repr(name) in str(error.value)
    assert not registry


def test_a_branch_name_is_taken_once():
    registry = {}
    register_branch(registry, "mix1", Mix())
    with pytest.raises(InputError, match="'mix1' is taken; registered are mix1"):
        register_branch(registry, "mix1", Mix())


class Reads(Branch):
    """Reads one kernel."""

    def __init__(self, spec):
        self.spec = spec

    def reads(self, width, scale):
        return {"conv": self.spec}

    def __call__(self, kernels, x, layers):
        return x


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (KernelSpec((3, 3, 4, 4), 2.0), "share kernel 'conv', but gain is 0.1 and 2.0"),
        (KernelSpec((3, 3, 4), 0.1), "shapes (5, 5, 4, 4) and (3, 3, 4) differ in rank"),
        (KernelSpec((3, 3, 4, 4), 0.1, per_pixel=False), "per_pixel is True and False"),
        (KernelSpec((3, 3, 4, 0), 0.1), "shape (3, 3, 4, 0) must be 1 to 4 integers"),
        (KernelSpec((), 0.1), "shape () must be"),
        (KernelSpec((3, 3, 4.0, 4), 0.1), "must be 1 to 4 integers"),
        (KernelSpec((3, 3, 4, 4), -1.0), "gain -1.0 must be finite"),
        (KernelSpec((3, 3, 4, 4), math.nan), "gain nan must be finite"),
    ],
)
@pytest.mark.parametrize("body", [(("c5", "mine"),), (("c5",), ("mine",))])
def test_branches_that_cannot_share_a_kernel_are_named(monkeypatch, spec, says, body):
    """In one slot, which stores one array, or in two, whose arrays a population stacks."""
    monkeypatch.setitem(BODY, "mine", Reads(spec))
    with pytest.raises(InputError) as error:
        SearchSpace(body, ("u1",), 4, 2)
    message = str(error.value)
    assert message.startswith("body: branch")
    assert "'mine'" in message and "'conv'" in message and says in message
    assert "\n" not in message


def test_branches_that_can_share_a_kernel_do(monkeypatch):
    monkeypatch.setitem(BODY, "mine", Reads(KernelSpec((7, 7, 4, 4), 0.1)))
    space = SearchSpace((("c3", "mine"),), ("u1",), 4, 2)
    assert stored_kernels(space, 0)["conv"] == KernelSpec((7, 7, 4, 4), 0.1)


@pytest.mark.parametrize("branch", [Reads, None, "c3"])
def test_only_instances_of_branches_are_registered(branch):
    registry = {}
    with pytest.raises(InputError, match="must be an instance of a subclass of Branch"):
        register_branch(registry, "mine", branch)
    with pytest.raises(InputError, match="branch name 3: must be text"):
        register_branch(registry, 3, Reads(KernelSpec((1,))))
    assert registry == {}
