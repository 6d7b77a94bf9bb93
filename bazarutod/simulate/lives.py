"""What becomes of each policy of a simulation, decided beforehand and by its seed alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from random import Random

from bazarutod.simulate.risks import PRODUCTS

_BOUGHT_WITHIN = 28  # days from the first one
_A_TERM = 365


class Paying(Enum):
    """How the premiums of a policy are paid."""

    AUTOMATIC = auto()
    """The platform collects them, and the card is good."""
    FAILING = auto()
    """The platform collects them, until from some day on the card is declined; somebody pays late by hand."""
    BY_HAND = auto()
    """Each invoice is paid when it is due, or some days late."""
    STOPPED = auto()
    """From some day on, nothing is paid any more."""
    NEVER = auto()
    """Not even the first premium is paid."""


# The first ones are bought at once and go through the hardest, so that also a small book sees every kind: who stops
# paying has the product that lapses soonest by the month, and who never pays one that is over soon.
_FIRST = {
    "motor": Paying.AUTOMATIC,
    "home": Paying.BY_HAND,
    "device": Paying.STOPPED,
    "travel": Paying.NEVER,
    "health": Paying.FAILING,
}


class Deed(Enum):
    """What somebody does with a policy."""

    ENDORSE = auto()
    CANCEL = auto()
    RESCIND = auto()
    REVERSE = auto()
    REFUND = auto()
    REFUSE_RENEWAL = auto()
    RENEW = auto()


@dataclass(frozen=True, slots=True)
class Event:
    """A deed on a day, counted from the first day of the simulation. `seed` is what its details are drawn by."""

    day: int
    deed: Deed
    seed: str
    by_underwriter: bool = False


@dataclass(frozen=True, slots=True)
class Life:
    """One policy: who buys it when, how it is paid, what is done with it."""

    number: int
    customer: int
    product: str
    bought_on: int
    plan: str
    paying: Paying
    trouble_on: int
    """The day from which on the card is declined, or nothing is paid."""
    late_days: int
    """How long after the due date somebody pays by hand."""
    card: str
    reinstated_after: int
    """Days from a lapse until what is past due is paid and the policy put back; 0 for never."""
    with_gap: bool
    events: tuple[Event, ...]
    seed: str


def lives_of(policies: int, months: int, seed: int) -> list[Life]:
    """The lives of that many policies. The same seed gives the same lives, also of the first of more policies."""
    return [_life(number, months, seed) for number in range(1, policies + 1)]


def _life(number: int, months: int, seed: int) -> Life:
    own = f"{seed}:{number}"
    dice = Random(own)  # noqa: S311 - to be repeated
    product = PRODUCTS[(number - 1) % len(PRODUCTS)]
    is_first = number <= len(PRODUCTS)
    paying = _FIRST[product] if is_first and product in _FIRST else _paying(dice)
    bought_on = number - 1 if is_first else dice.randrange(_BOUGHT_WITHIN)
    days = months * 31
    plan = "annual" if product == "travel" or dice.random() < 0.35 else "monthly"
    return Life(
        number=number,
        customer=max(1, round(number * 0.7)),
        product=product,
        bought_on=bought_on,
        plan="monthly" if is_first and product != "travel" else plan,
        paying=paying,
        trouble_on=bought_on + (10 if is_first else dice.randrange(10, _A_TERM)),
        late_days=max(0, dice.randint(-6, 14)),
        card=_card(dice),
        reinstated_after=dice.randint(2, 12) if dice.random() < 0.6 or is_first else 0,
        with_gap=dice.random() < 0.5,
        events=tuple(sorted(_events(dice, own, number, product, bought_on, days), key=lambda event: event.day)),
        seed=own,
    )


def _paying(dice: Random) -> Paying:
    kinds = {Paying.AUTOMATIC: 52, Paying.FAILING: 12, Paying.BY_HAND: 24, Paying.STOPPED: 10, Paying.NEVER: 2}
    return dice.choices(list(kinds), list(kinds.values()))[0]


def _card(dice: Random) -> str:
    """The card of who pays, in the words of the sandbox; all of them are charged in the end."""
    cards = {
        "pm_card_ok": 80,
        "pm_card_timeout": 4,
        "pm_card_refund_timeout": 4,
        "pm_card_refund_pending": 4,
        "pm_card_refund_declined": 3,
        "pm_card_refund_returned": 3,
        "pm_card_refund_expired": 2,
    }
    return dice.choices(list(cards), list(cards.values()))[0]


def _events(dice: Random, own: str, number: int, product: str, bought_on: int, days: int) -> list[Event]:
    def later(soonest: int, latest: int) -> int:
        return bought_on + dice.randint(soonest, max(soonest, latest))

    def event(day: int, deed: Deed, *, by_underwriter: bool = False) -> Event:
        return Event(day, deed, f"{own}:{deed.name}:{day}", by_underwriter)

    events = []
    lasts = min(days, 40 if product == "travel" else _A_TERM)
    for _ in range(dice.choice((0, 1, 1, 2, 3))):
        day = later(1, lasts)
        events.append(event(day, Deed.ENDORSE, by_underwriter=dice.random() < 0.2))
        if dice.random() < 0.1:
            events.append(event(day + 1, Deed.REVERSE))
        if dice.random() < 0.2:
            events.append(event(day + 2, Deed.REFUND))
    chance = dice.random()
    if chance < 0.06:
        events.append(event(later(1, 12), Deed.CANCEL))
    elif chance < 0.22:
        day = later(5, lasts)
        events.append(event(day, Deed.CANCEL, by_underwriter=dice.random() < 0.25))
        if dice.random() < 0.3:
            events.append(event(day + 1, Deed.RESCIND))
    chance = dice.random()
    if chance < 0.10:
        events.append(event(later(250, 350), Deed.REFUSE_RENEWAL))
    elif chance < 0.25:
        events.append(event(later(_A_TERM - 15, _A_TERM + 20), Deed.RENEW))
    return events
