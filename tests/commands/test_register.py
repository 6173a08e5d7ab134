"""`--register MODULE` imports a module of the user's own, here and in child processes."""

import subprocess
import sys

import jax
import numpy as np
import pytest
from PIL import Image

from dysr_jax.bundle.bundle import make_bundle, save_bundle
from dysr_jax.bundle.members import make_member
from dysr_jax.cli import main
from dysr_jax.model.branches import BODY
from dysr_jax.model.programs import make_supernet
from dysr_jax.model.space import SearchSpace
from dysr_jax.model.supernet import init_params
from dysr_jax.user_modules import INHERITED, register_modules

MODULE = """
from dysr_jax.model import BODY, register_branch
from dysr_jax.model.branches import Identity


class Half(Identity):
    def __call__(self, kernels, x, layers):
        return x / 2


register_branch(BODY, "half", Half())
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A folder with `my_branches.py`, which registers the branch `half`; both are forgotten at the end."""
    (tmp_path / "my_branches.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv(INHERITED, "")
    yield tmp_path
    BODY.pop("half", None)
    sys.modules.pop("my_branches", None)


def test_a_bundle_with_a_branch_of_ones_own_upscales(mine, capsys):
    register_modules(["my_branches"])
    space = SearchSpace((("id", "half"),), ("u1",), widths=4, scale=2)
    params = init_params(jax.random.key(0), space)
    member = make_member(space, (1, 0), 30.0, 1.0)
    bundle = make_bundle(
        params, [member], net=make_supernet(space, "float32"), frame=(8, 8), bicubic_psnr_y=29.0
    )
    save_bundle("bundle", bundle, {})
    BODY.pop("half")
    del sys.modules["my_branches"]
    Image.fromarray(np.zeros((6, 5, 3), np.uint8)).save("in.png")
    assert main(["upscale", "in.png", "--bundle", "bundle"]) == 2
    assert "half" in capsys.readouterr().err
    assert main(["upscale", "in.png", "--bundle", "bundle", "--register", "my_branches"]) == 0
    with Image.open("in_x2.png") as found:
        assert found.size == (10, 12)


def test_children_import_what_their_parent_registered(mine):
    register_modules(["my_branches"])
    code = "from dysr_jax.user_modules import register_inherited; register_inherited()\n"
    code += "from dysr_jax.model.branches import BODY; assert 'half' in BODY"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("words", [["--register"], ["--register="], ["--register", "--help"]])
def test_a_name_is_needed(mine, capsys, words):
    assert main(["data", "list", *words]) == 2
    assert "must be the name of a module" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise KeyError('x')", "KeyError: 'x'"),
        ("import nothing_at_all", "No module named"),
        ("(", "SyntaxError"),
    ],
)
def test_a_module_that_fails_is_named_in_a_line(mine, capsys, monkeypatch, code, reason):
    (mine / "broken_module.py").write_text(code)
    monkeypatch.delitem(sys.modules, "broken_module", raising=False)
    assert main(["data", "list", "--register=broken_module"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(
        "dysr: error: register 'broken_module': module 'broken_module' cannot be imported"
    )
    assert reason in captured.err
    assert len(captured.err.splitlines()) == 1


def test_a_file_is_named_by_its_module(mine, capsys):
    assert main(["data", "list", "--register", "my_branches.py"]) == 2
    assert "for a file, name 'my_branches'" in capsys.readouterr().err


def test_the_option_is_told_and_suggested(capsys):
    assert main(["--help"]) == 0
    assert "--register MODULE" in capsys.readouterr().out
    assert main(["data", "list", "--registr", "x"]) == 2
    assert "did you mean --register?" in capsys.readouterr().err
