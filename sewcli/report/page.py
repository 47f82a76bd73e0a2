"""A report as one HTML page that needs nothing else: style, script, figures and audio are inside it.

The page's own policy lets a browser run the one script whose digest it names, and load nothing from anywhere; texts of users
are escaped by the template, and reach the script as text only.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sewcli.report.content import Report

PACKAGE, FOLDER = "sewcli.report", "page"
FIGURES_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{}'; media-src data:; base-uri 'none'"


def render_page(report: Report) -> str:
    """The page's text."""
    loader = PackageLoader(PACKAGE, FOLDER)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    script, style = (_asset(name) for name in ("report.js", "report.css"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text = environment.get_template("report.html.jinja").render(
        report=report, style=Markup(style), script=Markup(script), policy=POLICY.format(digest)
    )
    return text.encode("utf-8", "replace").decode()  # file names that are not UTF-8


def figure_page(title: str, note: str, figures: Sequence[Markup]) -> str:
    """A page of figures alone, in the report's style."""
    drawn = Markup("").join(
        Markup('<figure class="scatter-wide wide">{}</figure>').format(figure) for figure in figures
    )
    text = Markup(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{}">'
        "<title>{}</title><style>{}</style></head><body><main><h1>{}</h1><p>{}</p>{}</main></body></html>\n"
    )
    return str(text.format(FIGURES_POLICY, title, Markup(_asset("report.css")), title, note, drawn))


def _asset(name: str) -> str:
    return (resources.files(PACKAGE) / FOLDER / name).read_text(encoding="utf-8")
