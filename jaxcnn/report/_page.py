"""`Page`: one self-contained HTML file; pictures are embedded, nothing is loaded from elsewhere."""

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path

from matplotlib.figure import Figure

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1d1d1f; }
h1 { font-size: 1.6rem; margin-bottom: 0.2rem; } h2 { font-size: 1.15rem; margin: 2rem 0 0.5rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.8rem; border-bottom: 1px solid #e3e3e6; text-align: right; }
th:first-child, td:first-child { text-align: left; } .total tr:last-child td { font-weight: 600; }
img { max-width: 100%; } .lead { font-size: 1.2rem; } .note { color: #6b6b70; font-size: 0.9rem; } code { font-size: 0.9em; }
"""


class Page:
    """Sections in the order in which they are added.

    >>> page = Page("Run")
    >>> page.text("It works <well>.")
    >>> "It works &lt;well&gt;." in page.html()
    True
    """

    def __init__(self, title: str):
        self.title, self.parts = title, [f"<h1>{escape(title)}</h1>"]

    def heading(self, text: str) -> None:
        """Starts a section."""
        self.parts.append(f"<h2>{escape(text)}</h2>")

    def text(self, text: str, kind: str = "") -> None:
        """A paragraph; `kind` is "", "lead" or "note"."""
        self.parts.append(f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], *, total: bool = False) -> None:
        """A table of text cells; the last row is set in bold where it is a `total`."""
        row = lambda cells, tag: "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
        body = "".join(row(cells, "td") for cells in rows)
        kind = ' class="total"' if total else ""
        self.parts.append(f"<table{kind}><thead>{row(columns, 'th')}</thead><tbody>{body}</tbody></table>")

    def figure(self, figure: Figure, description: str) -> None:
        """A picture, embedded as PNG."""
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=110)
        code = base64.b64encode(file.getvalue()).decode()
        self.parts.append(f'<img alt="{escape(description)}" src="data:image/png;base64,{code}">')

    def html(self) -> str:
        """The whole page."""
        head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(self.title)}</title>'
        body = "\n".join(self.parts)
        return f'<!doctype html>\n<html lang="en">\n<head>{head}<style>{STYLE}</style></head>\n<body>\n{body}\n</body>\n</html>\n'

    def write(self, path: str | Path) -> None:
        """Writes the page as UTF-8."""
        Path(path).write_text(self.html(), encoding="utf-8")
