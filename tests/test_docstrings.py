"""What docstrings say of parameters is what the code does."""

import ast
import importlib
import inspect
import pkgutil
import re

import skembed

PARAMETERS = re.compile(r"^Parameters\n-+\n(.*?)(?=^\w[^\n]*\n-{3,}|\Z)", re.DOTALL | re.MULTILINE)
DEFAULT = re.compile(r"^(\w+(?:, \w+)*) : [^\n]*?default=([^\n]+)$", re.MULTILINE)


def documented_functions():
    """Each function, method and class of the library with a docstring, under its name."""
    modules = [module.name for module in pkgutil.walk_packages(skembed.__path__, "skembed.")]
    for module in map(importlib.import_module, (name for name in modules if not name.endswith("__main__"))):
        for name, found in vars(module).items():
            if getattr(found, "__module__", "") != module.__name__:
                continue
            if inspect.isfunction(found):
                yield f"{module.__name__}.{name}", found
            if inspect.isclass(found):
                yield f"{module.__name__}.{name}", found
                for method_name, method in vars(found).items():
                    if inspect.isfunction(function := getattr(method, "__func__", method)):
                        yield f"{module.__name__}.{name}.{method_name}", function


def test_documented_defaults_are_those_of_the_code():
    said, true = {}, {}
    for name, function in documented_functions():
        text = inspect.cleandoc(function.__doc__ or "")
        for parameters, default in DEFAULT.findall("".join(PARAMETERS.findall(text))):
            names, values = parameters.split(", "), ast.literal_eval(default)
            several = len(names) > 1 and isinstance(values, tuple)
            for parameter, value in zip(names, values if several else [values] * len(names)):
                said[name, parameter] = value
                true[name, parameter] = inspect.signature(function).parameters[parameter].default
    assert len(said) > 300
    assert said == true
