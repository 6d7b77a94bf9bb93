"""Letters to users, in their language: the templates of `data/letters`, filled in.

A letter is three of them: `<letter>.<language>.subject`, `.txt` and `.html`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from libs import ids
from libs.mail import Letter
from services.users.accounts.rules.user import User

LANGUAGES: Final = frozenset({"en", "pt"})
_OTHERWISE: Final = "en"

# What people told about themselves is never read as HTML; a value that a letter lacks is an error, and no gap in it.
ENVIRONMENT: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1] / "data" / "letters"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
    auto_reload=False,
)


def welcome(user: User) -> Letter:
    """What a new customer gets to read."""
    return _written("welcome", user)


def _written(letter: str, user: User) -> Letter:
    """A letter about a user to that user, unique for them."""
    user_id = ids.encode("usr", user.id)
    language = user.locale.replace("_", "-").split("-")[0].lower()
    if language not in LANGUAGES:
        language = _OTHERWISE
    values = {"full_name": user.full_name, "email": user.email, "user_id": user_id}
    subject, text, html = (
        ENVIRONMENT.get_template(f"{letter}.{language}.{part}").render(values) for part in ("subject", "txt", "html")
    )
    return Letter(
        key=f"{letter}.{user_id}",
        name=user.full_name,
        email=user.email,
        subject=" ".join(subject.split()),  # on one line, whatever a value in it holds
        text=text,
        html=html,
    )
