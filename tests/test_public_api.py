"""The names that a user types: few, documented, and made by the same conventions."""

import importlib
import inspect
import pkgutil
import re
import typing

import pytest

import dysr_jax

PACKAGES = ["dysr_jax"] + [
    module.name for module in pkgutil.walk_packages(dysr_jax.__path__, "dysr_jax.") if module.ispkg
]
PATHS = {"path", "out", "source", "target", "folder", "run", "lr"}
ARRAYS = ("ndarray", "chex.Array", "jax.Array")


def exported(package: str) -> list[tuple[str, object]]:
    """The names that a package's `__init__` gives to others."""
    module = importlib.import_module(package)
    names = getattr(module, "__all__", None) or [n for n in dir(module) if not n.startswith("_")]
    found = [(name, getattr(module, name)) for name in names if name != "epy"]
    return [(name, value) for name, value in found if not inspect.ismodule(value)]


def callables(package: str):
    """Functions, classes and the public methods of classes that a package exports, by name."""
    for name, value in exported(package):
        if inspect.isclass(value):
            yield name, value
            for method, function in vars(value).items():
                wrapped = inspect.unwrap(getattr(function, "__func__", function))
                if not method.startswith("_") and inspect.isfunction(wrapped):
                    yield f"{name}.{method}", wrapped
        elif inspect.isfunction(value):
            yield name, value


def own(value) -> bool:
    return value.__module__.startswith("dysr_jax")


PUBLIC = [pytest.param(value, id=name) for name, value in callables("dysr_jax")]
FUNCTIONS = [p for p in PUBLIC if inspect.isfunction(p.values[0])]


def parameters(function) -> list[inspect.Parameter]:
    return [p for p in inspect.signature(function).parameters.values() if p.name not in ("self", "cls")]


def test_the_names_are_few_and_sorted():
    assert list(dysr_jax.__all__) == sorted(dysr_jax.__all__)
    assert 20 <= len(dysr_jax.__all__) <= 27


@pytest.mark.parametrize("package", PACKAGES)
def test_what_a_package_exports_is_there_and_documented(package):
    assert inspect.getdoc(importlib.import_module(package))
    for name, value in callables(package):
        if own(value):
            assert (inspect.getdoc(value) or "").strip(), name


@pytest.mark.parametrize("package", PACKAGES[1:])
def test_a_package_says_what_each_of_its_files_holds(package):
    module = importlib.import_module(package)
    words = set(re.findall(r"\w+", inspect.getdoc(module)))
    files = {one.name for one in pkgutil.iter_modules(module.__path__)}
    assert not files - words
    marked = set(re.findall(r"`(\w+)`", inspect.getdoc(module)))
    assert not {word for word in marked if word.islower()} - files - set(dir(module))


@pytest.mark.parametrize("value", PUBLIC)
def test_the_first_line_is_a_sentence(value):
    first = inspect.getdoc(value).split("\n\n")[0]
    assert first[0].isupper() or first[0] in "`[("
    assert first.rstrip().endswith((".", ":"))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_all_parameters_are_annotated(function):
    signature = inspect.signature(function)
    assert signature.return_annotation is not inspect.Signature.empty
    assert all(p.annotation is not inspect.Parameter.empty for p in parameters(function))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_key_comes_first_and_flags_have_names(function):
    given = parameters(function)
    assert "key" not in [p.name for p in given[1:]]
    for parameter in given:
        if isinstance(parameter.default, bool):
            assert parameter.kind is inspect.Parameter.KEYWORD_ONLY, parameter.name


@pytest.mark.parametrize("function", FUNCTIONS)
def test_paths_may_be_path_objects(function):
    for parameter in parameters(function):
        told = str(parameter.annotation)
        if parameter.name in PATHS and "str" in told:
            assert "PathLike" in told, parameter.name


@pytest.mark.parametrize("value", PUBLIC)
def test_arrays_have_their_shapes_told(value):
    function = value if inspect.isfunction(value) else vars(value).get("__call__")
    if function is None or not inspect.isfunction(function):
        return
    told = [str(p.annotation) for p in parameters(function)]
    told.append(str(inspect.signature(function).return_annotation))
    if any(array in one for one in told for array in ARRAYS):
        assert "[" in f"{inspect.getdoc(value)}{inspect.getdoc(function)}"


def test_types_of_the_api_resolve():
    """Annotations name what exists, also those in quotes."""
    for param in FUNCTIONS:
        function = param.values[0]
        names = vars(inspect.getmodule(function))
        assert isinstance(typing.get_type_hints(function, {**vars(typing), **names}), dict)
