"""A report as HTML: templates with autoescape, plots as markup, one style sheet inside the page."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from loop.report.svg import draw
from loop.report.text import printed


def rendered(template: str, **values: object) -> str:
    """A page. Every value that a template prints is made visible and escaped, markup of our own aside."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("loop.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=printed,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    source, _, _ = PackageLoader("loop.report").get_source(environment, "style.css")
    environment.globals["style"] = Markup(source)
    environment.globals["draw"] = draw
    return environment
