"""A report as one HTML page that needs nothing else: style, script, figures and audio are inside it.

The page's own policy lets a browser run the one script whose digest it names, and load nothing from anywhere; texts of users
are escaped by the template, and reach the script as text only.
"""

from __future__ import annotations

import base64
import hashlib
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sewcli.scoring.report.content import Report

PACKAGE, FOLDER = "sewcli.scoring.report", "page"
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


def _asset(name: str) -> str:
    return (resources.files(PACKAGE) / FOLDER / name).read_text(encoding="utf-8")
