"""`sekisho terms`: terms of use, of the installation and of organisations."""

from __future__ import annotations

from pathlib import Path

import click

from idp.accounts import organizations
from idp.accounts import terms as domain
from idp.cli.output import ACTOR, as_json, opened, show, show_all
from idp.errors import Refused

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def terms() -> None:
    """Terms of use."""


@terms.command("publish")
@click.option("--file-en", required=True, type=_FILE, help="The English text, Markdown.")
@click.option("--file-ja", required=True, type=_FILE, help="The Japanese text, Markdown.")
@click.option("--org", "organization", help="Of one organisation; else of the installation.")
@as_json
def publish(file_en: Path, file_ja: Path, organization: str | None, as_json: bool) -> None:
    """Publishes the next version: everybody is asked to agree at the next sign-in."""
    texts = [_read(file) for file in (file_en, file_ja)]
    with opened() as services, services.database.transaction() as session:
        owner = organizations.find(session, organization) if organization else None
        published = domain.publish(
            session, *texts, actor=ACTOR, now=services.clock.now(), organization=owner
        )
        shown = {
            "id": published.id,
            "organization": owner.name if owner else None,
            "version": published.version,
        }
    show(shown, as_json=as_json)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise Refused(f"{file} is no text in UTF-8: {str(error)[:200]}") from error


@terms.command("list")
@as_json
def list_terms(as_json: bool) -> None:
    """All versions, and how many people agreed to each."""
    with opened() as services, services.database.transaction() as session:
        shown = [
            {
                "id": row.id,
                "organization": name,
                "version": row.version,
                "published_at": row.published_at.isoformat(timespec="seconds"),
                "in_force": row.superseded_at is None,
                "agreed": agreed,
            }
            for row, name, agreed in domain.published(session)
        ]
    show_all(shown, as_json=as_json, empty="No terms of use yet: `sekisho terms publish`.")
