"""The report of a simulation as one HTML page that needs nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from bazarutod.simulate.charts import Series, bars, lines, stacks
from bazarutod.simulate.figures import Money, Month
from bazarutod.simulate.money import text
from bazarutod.simulate.tables import MONEY, rows_of_policies, rows_of_transactions, share

# Colours are told apart by their lightness too; the same six are used on light and on dark.
_STYLE: Final = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b2330; --soft: #5c6675; --edge: #d9dee6; --card: #f6f8fa;
  --c0: #2f6fb2; --c1: #e08a1e; --c2: #3d9a6a; --c3: #b0457e; --c4: #7a6ad0; --c5: #6b7686; }
@media (prefers-color-scheme: dark) { :root { --paper: #12161c; --ink: #e6eaf0; --soft: #9aa5b4; --edge: #2d3541;
  --card: #1a2029; --c0: #6aa9ea; --c1: #f0ab52; --c2: #68c294; --c3: #de7fb0; --c4: #a89cf0; --c5: #9aa5b4; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1240px; padding: 24px 20px 60px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 36px 0 12px; }
h3 { font-size: 15px; margin: 0 0 8px; } p { margin: 0 0 8px; } .soft { color: var(--soft); }
.wrong { border-left: 4px solid var(--c3); padding: 8px 14px; background: var(--card); overflow-wrap: anywhere; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 20px 0; }
.facts div, .card { background: var(--card); border: 1px solid var(--edge); border-radius: 8px; padding: 12px 16px; }
.facts b { display: block; font-size: 22px; font-variant-numeric: tabular-nums; } .facts span { color: var(--soft); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 330px), 1fr)); gap: 16px; }
svg { display: block; width: 100%; height: auto; } svg text { fill: var(--soft); font-size: 12px; }
svg .value { text-anchor: end; } svg .month { text-anchor: middle; }
svg .grid { stroke: var(--edge); } svg .axis { stroke: var(--soft); } polyline { fill: none; stroke-width: 2; }
.key { display: flex; flex-wrap: wrap; gap: 4px 16px; margin: 6px 0 0; color: var(--soft); font-size: 13px; }
.key i { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin-right: 6px; }
.scroll { overflow-x: auto; margin-top: 16px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { text-align: right; padding: 5px 10px; border-bottom: 1px solid var(--edge); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: var(--paper); }
th { color: var(--soft); font-weight: 600; }
""" + "\n".join(
    f".s{n} {{ fill: var(--c{n}); }} .l{n} {{ stroke: var(--c{n}); }} .k{n} {{ background: var(--c{n}); }}"
    for n in range(6)
)
_ENDS: Final = ("cancellation", "lapse", "not_taken", "reinstatement")
_STATES: Final = ("in_force", "scheduled", "cancelled", "lapsed", "expired", "not_taken")


def page_of(document: Mapping[str, Any], months: Sequence[Month]) -> str:
    """The page. `document` is the report as JSON has it."""
    title = f"A year in the life of a book: {document['policies']} policies, {document['months']} months"
    names = [month.month for month in months]
    currencies = sorted({currency for month in months for currency in month.money})
    parts = [f"<h1>{escape(title)}</h1>", f'<p class="soft">{escape(_about(document))}</p>']
    if document["wrong"]:
        parts.append(f'<p class="wrong">{escape(document["wrong"])}</p>')
    if months:
        parts += [_facts(months), "<h2>Policies</h2>", _cards(_policies(names, months))]
        parts += [_table(*rows_of_policies(months)), _table(*rows_of_transactions(months))]
        for currency in currencies:
            money = [month.money.get(currency, Money()) for month in months]
            parts += [f"<h2>{currency}</h2>", _cards(_money(names, money)), _money_table(names, money)]
    parts += ["<h2>Done by people, and refused by a rule</h2>", _deeds(document)]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    return (
        f'<!doctype html><html lang="en"><head>{head}<style>{_STYLE}</style></head><body>{"".join(parts)}</body></html>'
    )


def _about(document: Mapping[str, Any]) -> str:
    proved = len(document["by_month"])
    return (
        f"From {document['first_day']}, seed {document['seed']}, in {document['seconds']['all']:,.0f} s. Proved at the"
        f" end of {proved} months: the trial balance is zero, what is written of each policy is earned or unearned,"
        " billing and books agree, the provider holds what the ledger says, and nothing is parked."
    )


def _facts(months: Sequence[Month]) -> str:
    last = months[-1]
    due, renewed = sum(month.due for month in months), sum(month.renewed for month in months)
    facts = {
        "policies in force": str(last.states.get("in_force", 0)),
        "transactions": f"{sum(sum(month.transactions.values()) for month in months):,}",
        "renewed of those due": f"{renewed} of {due}",
        "retention": share(renewed, due),
        "lapsed": str(sum(month.lapses for month in months)),
        "put back": str(sum(month.transactions.get("reinstatement", 0) for month in months)),
    }
    return f'<div class="facts">{"".join(f"<div><b>{b}</b><span>{a}</span></div>" for a, b in facts.items())}</div>'


def _cards(charts: Mapping[str, str]) -> str:
    cards = "".join(f'<div class="card"><h3>{escape(title)}</h3>{chart}</div>' for title, chart in charts.items())
    return f'<div class="cards">{cards}</div>'


def _policies(names: Sequence[str], months: Sequence[Month]) -> dict[str, str]:
    def of(kind: str, codes: Sequence[str]) -> list[Series]:
        counts = [getattr(month, kind) for month in months]
        series = [Series(code.replace("_", " "), [count.get(code, 0) for count in counts]) for code in codes]
        return [one for one in series if any(one.values)]

    lapsed = [_percent(month.lapses, month.covered_before) for month in months]
    renewed = [_percent(month.renewed, month.due) for month in months]
    return {
        "State at the end of the month": stacks(names, of("states", _STATES)),
        "Bought and renewed": bars(names, of("transactions", ("new_business", "renewal"))),
        "Changed": bars(names, of("transactions", ("endorsement", "reversal"))),
        "Ended, and put back": lines(names, of("transactions", _ENDS)),
        "Lapsed, of those in force before": bars(names, [Series("lapse rate", lapsed)], " %"),
        "Renewed, of those due": bars(names, [Series("retention", renewed)], " %"),
    }


def _money(names: Sequence[str], money: Sequence[Money]) -> dict[str, str]:
    def of(*fields: str) -> list[Series]:
        return [Series(name, [getattr(one, name) / 100 for one in money]) for name in fields]

    return {
        "Premium written in the month": bars(names, of("written")),
        "Premium earned in the month": bars(names, of("earned")),
        "Unearned premium at month's end": lines(names, of("unearned")),
        "Collected and refunded in the month": bars(names, of("collected", "refunded")),
        "Cash at month's end": lines(names, of("cash")),
        "Arrears at month's end": lines(names, of("arrears")),
    }


def _money_table(names: Sequence[str], money: Sequence[Money]) -> str:
    rows = [[month, *(text(getattr(one, name)) for name in MONEY)] for month, one in zip(names, money, strict=True)]
    return _table(["month", *MONEY], rows)


def _deeds(document: Mapping[str, Any]) -> str:
    rows = [[name, str(count)] for name, count in document["done"].items()]
    rows += [[f"{item['deed']} refused: {item['reason']}", str(item["times"])] for item in document["refused"]]
    return _table(["what", "times"], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None
