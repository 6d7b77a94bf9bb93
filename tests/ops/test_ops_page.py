"""The page at `/ops` in a real browser, on the whole platform."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bazarutod.stack import PROCESSES
from tests.ops.browser import Page, running_browser
from tests.support.admins import make_admin
from tests.support.buyer import Buyer
from tests.support.platform import Platform

pytestmark = pytest.mark.xdist_group("platform")

EMAIL, PASSWORD = "operator@example.com", "a long enough secret"
PICTURES = "TEST_PICTURES"  # a folder in which pictures of the page are wanted


@pytest.fixture(scope="module")
def operator(platform: Platform) -> str:
    """The e-mail address of an administrator."""
    return make_admin(platform.environment, EMAIL, PASSWORD)


@pytest.fixture
def page(platform: Platform, operator: str) -> Iterator[Page]:
    """The page, with an operator logged in."""
    with running_browser() as browser:
        browser.open(f"{platform.url}/ops")
        log_in(browser, operator, PASSWORD)
        browser.wait("document.querySelector('#processes li')")
        yield browser


def log_in(browser: Page, email: str, password: str) -> None:
    browser.run("document.querySelector('#email').value = document.querySelector('#password').value = ''")
    browser.type("#email", email)
    browser.type("#password", password)
    browser.run("document.querySelector('#log-in button').click()")


def test_every_process_is_seen_healthy(page: Page) -> None:
    shown = page.run(
        "Object.fromEntries([...document.querySelectorAll('#processes li')]"
        ".map((one) => [one.dataset.process, one.className]))"
    )
    assert {process.name for process in PROCESSES} <= set(shown)
    assert set(shown.values()) == {"healthy"}
    assert "processes are healthy" in page.text("#verdict")
    assert "No source of alerts is configured" in page.text("#alerts")


def test_the_trace_of_a_purchase_appears_by_itself_through_all_its_processes(page: Page, buyer: Buyer) -> None:
    buyer.in_force(buyer.issue(paymentMethod="pm_card_ok"))
    trace = f"document.querySelector('[data-key=\"{buyer.trace_id}\"]')"
    page.wait(f"{trace}?.textContent.includes('job payments.confirm_premium')")
    page.run(f"{trace}.open || {trace}.querySelector('summary').click()")
    text = page.text(f'[data-key="{buyer.trace_id}"]')
    for name in (
        "POST /v1/policies",
        "PolicyService/IssuePolicy",
        "job policies.apply_transaction",
        "SQL INSERT policies",
    ):
        assert name in text
    assert "POST /v1/policies" in page.text("#routes")
    picture(page, "ops-light.png")


def test_the_page_asks_nobody_else_and_breaks_none_of_its_rules(page: Page, platform: Platform) -> None:
    page.wait("document.querySelectorAll('#tiles svg').length > 0")
    assert page.complaints == []
    asked = {url.removeprefix(platform.url) for url in page.requests}
    assert asked == {"/ops", "/ops/data", "/v1/auth/login"}
    stored = "localStorage.length + sessionStorage.length + document.cookie.length"
    assert page.run(stored) == 0


def test_a_paused_page_asks_no_more(page: Page) -> None:
    page.run("document.querySelector('#pause').click()")
    asked = len(page.requests)
    page.run("new Promise((done) => setTimeout(done, 6000))")
    assert len(page.requests) == asked
    page.run("document.querySelector('#pause').click()")
    page.wait("performance.getEntriesByType('resource').length")
    assert len(page.requests) > asked


def test_who_logs_out_while_tokens_are_renewed_stays_logged_out(page: Page) -> None:
    page.run(
        """(() => {
          const answer = window.fetch, goOn = new Promise((done) => { window.goOn = done; });
          window.fetch = async (path, options) => {
            if (path === "/ops/data") return new Response("{}", { status: 401 });
            if (path !== "/v1/auth/refresh") return answer(path, options);
            window.renewing = true;
            await goOn;
            return Response.json({ accessToken: "new", refreshToken: "new" });
          };
        })()"""
    )
    page.wait("window.renewing", 15)
    page.run("document.querySelector('#log-out').click()")
    page.run("goOn()")
    page.wait("!busy")
    assert page.run("tokens === null")
    assert page.run("document.querySelector('#main').hidden")


def test_the_page_fits_a_narrow_window_and_a_dark_room(page: Page, platform: Platform, operator: str) -> None:
    page.open(f"{platform.url}/ops", 390, 844, dark=True)
    log_in(page, operator, PASSWORD)
    page.wait("document.querySelector('#processes li')")
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 28)"
    picture(page, "ops-dark-narrow.png")


def test_a_customer_is_told_that_the_page_is_not_for_them(platform: Platform) -> None:
    customer = {"email": f"{secrets.token_hex(8)}@example.com", "password": PASSWORD, "fullName": "No Operator"}
    httpx.post(f"{platform.url}/v1/users", json=customer).raise_for_status()
    with running_browser() as browser:
        browser.open(f"{platform.url}/ops")
        log_in(browser, "nobody@example.com", PASSWORD)
        browser.wait("document.querySelector('#log-in-error').textContent")
        log_in(browser, customer["email"], PASSWORD)
        browser.wait("document.querySelector('#log-in-error').textContent.includes('administrators')")
        assert browser.run("document.querySelector('#main').hidden")


def picture(page: Page, name: str) -> None:
    """Keep a picture, if somebody wants them."""
    if folder := os.environ.get(PICTURES):
        page.picture(Path(folder) / name)
