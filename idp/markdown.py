"""Markdown into HTML that may stand on our pages, whoever wrote it.

CommonMark with tables. HTML in it is text, pictures are not loaded, links go to the web or to a
mail address and nowhere else, and open beside the page: whoever reads terms has not finished
signing in. Headings begin below the page's own. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup

SCHEMES = ("http://", "https://", "mailto:")
_KEPT = {"href", "title", "start"}


class _Renderer(RendererHTML):
    def fence(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        tokens[idx].info = ""  # The language of a program; nothing here colours programs.
        return super().fence(tokens, idx, options, env)

    def renderToken(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        token = tokens[idx]
        # Alignment would be a style in the page, which its policy forbids.
        token.attrs = {name: value for name, value in token.attrs.items() if name in _KEPT}
        if token.type == "link_open":
            token.attrs |= {"rel": "noopener noreferrer", "target": "_blank"}
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 1)}"
        return super().renderToken(tokens, idx, options, env)


class _Markdown(MarkdownIt):
    def validateLink(self, url: str) -> bool:
        """`url` comes with its entities and escapes resolved."""
        return url.lower().startswith(SCHEMES)


_markdown = _Markdown("js-default", {"html": False}, renderer_cls=_Renderer).disable("image")


@lru_cache(maxsize=32)
def render(text: str) -> Markup:
    """The HTML of a Markdown text."""
    return Markup(_markdown.render(text))  # noqa: S704 (this module is what makes it safe)
