"""HTML from templates: jinja2 with autoescape on, so that no name from a file becomes markup."""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(package: str, template: str, **values: Any) -> str:
    """Return a template filled in. A value that the template asks for and is not given raises jinja2.UndefinedError.

    package : the package whose folder `templates` holds the file, "gbvnet.report"
    template : the file's name, "document.html"
    """
    return _environment(package).get_template(template).render(**values)


@cache
def _environment(package: str) -> Environment:
    return Environment(
        loader=PackageLoader(package), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
