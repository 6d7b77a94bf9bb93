"""The letter that welcomes a new customer, in their language."""

from __future__ import annotations

from functools import cache
from html import escape
from pathlib import Path
from string import Template
from typing import Final

from libs import ids
from libs.mail import Letter
from services.users.accounts.rules.user import User

_SUBJECTS: Final = {"en": "Welcome to Bazaruto", "pt": "Bem-vindo à Bazaruto"}
_OTHERWISE: Final = "en"
_FOLDER: Final = Path(__file__).parents[1] / "data" / "letters"


def welcome(user: User) -> Letter:
    """What a new customer gets to read. What they told about themselves is never read as HTML."""
    user_id = ids.encode("usr", user.id)
    language = user.locale.replace("_", "-").split("-")[0].lower()
    if language not in _SUBJECTS:
        language = _OTHERWISE
    values = {"full_name": user.full_name, "email": user.email, "user_id": user_id}
    return Letter(
        key=f"welcome.{user_id}",
        name=user.full_name,
        email=user.email,
        subject=_SUBJECTS[language],
        text=_template(f"welcome.{language}.txt").substitute(values),
        html=_template(f"welcome.{language}.html").substitute({key: escape(value) for key, value in values.items()}),
    )


@cache
def _template(name: str) -> Template:
    return Template((_FOLDER / name).read_text(encoding="utf-8"))
