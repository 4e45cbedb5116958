"""The page in a real browser, over a gateway with 100,000 IKE SAs. A page with an error in its console, a breach of its
content security policy, or a request to anywhere else fails its test (conftest)."""

import re
from dataclasses import replace

import pytest
from playwright.async_api import Browser, Page, expect

from mobike.facade.configuration import Author, Edit
from tests.page.conftest import Look, Stand, looking
from tests.page.crowd import EVIL, FEW, GATEWAY, HOSTILE, LTE, MANY, PICKED, SIX, WIFI

pytestmark = pytest.mark.asyncio(loop_scope="module")

VIEWS = {
    "/": "Overview",
    "/sas": "IKE SAs",
    f"/sas/{PICKED}": "gw.example.net",
    f"/sas/{HOSTILE}": "img src",
    "/failures": "Failures",
    "/moves": "Moves",
    "/links": "Uplinks",
    "/events": "Events",
    "/config": "Configuration",
    "/credentials": "Credentials",
    "/log-levels": "Log levels",
    "/access": "Access",
    "/nowhere": "There is nothing here",
}
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


async def drawn(page: Page, at: str) -> None:
    """All that the view asks for has come, and none of it is beside the screen."""
    await expect(page.get_by_role("heading", level=1)).to_contain_text(VIEWS[at])
    await page.wait_for_load_state("domcontentloaded")
    if at != "/nowhere":
        await page.locator(".room :is(table, .events, .link, .ladder, .chart svg, .empty, .attempt)").first.wait_for()
    wide, seen = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide <= seen, at


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_view_opens_without_an_error_in_both_colours(look: Look, scheme: str) -> None:
    async with look(color_scheme=scheme) as page:
        for at in VIEWS:
            await page.evaluate("at => { location.hash = at }", at)
            await drawn(page, at)
        ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        red = int(re.findall(r"\d+", ground)[0])
        assert (red > 200) is (scheme == "light")


async def test_no_view_is_wider_than_a_phone(look: Look) -> None:
    async with look(**PHONE) as page:
        for at in VIEWS:
            await page.evaluate("at => { location.hash = at }", at)
            await drawn(page, at)


async def test_a_stranger_signs_in_with_a_token_and_out_again(browser: Browser, stand: Stand) -> None:
    async with looking(browser, stand, signed_in=False, forgiven=("401",)) as page:
        await heading_is(page, "Sign in")
        await page.get_by_label("Token").fill("wrong" * 8)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("alert")).to_contain_text("this is no token of the API")
        await page.get_by_label("Token").fill(stand.token)
        await page.keyboard.press("Enter")
        await heading_is(page, "Overview")
        assert await page.evaluate("document.cookie") == ""
        await page.get_by_role("button", name="Sign out").click()
        await heading_is(page, "Sign in")
        assert await page.evaluate("sessionStorage.length") == 0


async def test_the_token_of_a_link_leaves_the_address_at_once(look: Look, stand: Stand) -> None:
    async with look() as page:
        assert stand.token not in page.url
        assert await page.evaluate("history.length") <= 3


async def test_what_peers_say_stays_text(look: Look) -> None:
    async with look("/sas") as page:
        link = page.get_by_role("link", name="<img src=x")
        await expect(link).to_be_visible()
        await link.click()
        await heading_is(page, EVIL.replace("\u202e", "\ufffd"))
        for at in ("/", "/events", "/failures"):
            await page.evaluate("at => { location.hash = at }", at)
            await expect(page.get_by_text("<script>document.title").first).to_be_visible()
        assert await page.locator(".room img, .room script").count() == 0
        assert "owned" not in await page.title()


async def test_the_policy_forbids_all_that_the_page_does_not_need(look: Look, stand: Stand) -> None:
    async with look(forgiven=("TrustedHTML",)) as page:
        answer = await page.request.get(stand.url)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';")
        assert "unsafe" not in policy
        assert "require-trusted-types-for 'script'" in policy
        assert answer.headers["cache-control"] == "no-store"
        refused = await page.evaluate(
            "() => { try { document.body.innerHTML = '<b>x</b>'; return 'taken' } catch (e) { return e.name } }"
        )
        assert refused == "TypeError"


async def test_the_table_pages_through_100_000_and_filters_at_the_daemon(look: Look) -> None:
    async with look("/sas") as page:
        where, rows = page.locator(".where"), page.locator("tbody tr")
        await expect(where).to_have_text(f"1\u201350 of {MANY:,}".replace(",", "\u2009"))
        await expect(rows).to_have_count(50)
        for turn in range(1, 5):
            await page.get_by_role("button", name="Next").click()
            await expect(where).to_contain_text(f"{turn * 50 + 1}\u2013{turn * 50 + 50} of")
        await expect(rows.first).to_contain_text("phone-000201@example.net")
        await page.get_by_role("button", name="Previous").click()
        await expect(rows.first).to_contain_text("phone-000151@example.net")
        await page.get_by_role("button", name="First").click()
        await expect(rows.first).to_contain_text("gw.example.net")
        # Those few are at the very end of the list.
        await page.get_by_label("local").fill(LTE)
        await page.keyboard.press("Tab")
        await expect(rows).to_have_count(FEW)
        assert page.url.endswith(f"#/sas?local={LTE}")
        await page.get_by_role("button", name="Clear").click()
        await expect(rows).to_have_count(50)


async def test_a_move_is_seen_as_it_happens(look: Look, stand: Stand) -> None:
    async with look("/sas") as page:
        first = page.locator("tbody tr").first
        await expect(first).to_contain_text(f"{WIFI}:4500")
        stand.crowd.move(PICKED, local=LTE, remote=None)
        await expect(first).to_contain_text(f"{LTE}:4500")
        await first.get_by_role("link").click()
        await expect(page.locator(".map .in-use path")).to_have_count(1)
        await expect(page.locator(".ladder li").last).to_contain_text("the operator said so")
        await expect(page.locator(".ladder li").last).to_contain_text("UPDATE_SA_ADDRESSES 13 ms")
        await expect(page.locator("tr", has_text="in use")).to_contain_text("wwan0")
        await page.get_by_role("button", name=f"Move to {WIFI}").click()
        await expect(page.locator("tr", has_text="in use")).to_contain_text("wlan0")
        assert stand.crowd.orders[-1].startswith(f"move {PICKED} {WIFI}")
        await page.evaluate("location.hash = '/moves'")
        await expect(page.locator("tbody tr").first).to_contain_text("the operator said so")
        bars = page.locator(".chart rect.moved")
        assert await bars.count() > 0


async def test_every_exchange_has_a_rung_with_what_came_of_it(look: Look) -> None:
    async with look(f"/sas/{PICKED}") as page:
        rungs = page.locator(".ladder li")
        quiet = rungs.filter(has_text="alive?")
        await expect(quiet).to_have_count(1)
        await expect(quiet).to_contain_text("12 ms")
        await expect(quiet).to_contain_text("4 since")
        await expect(quiet.locator(".answer")).to_have_count(1)
        refused = rungs.filter(has_text="TEMPORARY_FAILURE")
        await expect(refused).to_have_class("in")
        await expect(refused.locator(".answer.refused")).to_have_count(1)
        last = rungs.filter(has_text="not answered yet")
        await expect(last).to_have_class("lost")
        await expect(last).to_contain_text("sent 3 times, over more than one path")
        await page.get_by_role("button", name="earlier").click()
        # A move is told once: the exchange, with the words of its event.
        moved = rungs.filter(has_text="wlan0 answers again")
        await expect(moved).to_have_count(1)
        await expect(moved).to_contain_text("UPDATE_SA_ADDRESSES 13 ms")


async def test_the_set_up_is_drawn_as_it_went_and_from_its_event_where_that_is_forgotten(look: Look) -> None:
    async with look(f"/sas/{PICKED}") as page:
        rungs = page.locator(".ladder li")
        await page.get_by_role("button", name="earlier").click()
        await expect(rungs.nth(0)).to_contain_text("IKE_SA_INIT 12 ms")
        await expect(rungs.nth(0)).to_contain_text("sent back: COOKIE")
        await expect(rungs.nth(0).locator(".answer.refused")).to_have_count(1)
        await expect(rungs.nth(1)).to_contain_text("IKE_SA_INIT: again, with the COOKIE 13 ms")
        await expect(rungs.nth(1)).to_contain_text("sent back: INVALID_KE_PAYLOAD")
        await expect(rungs.nth(2)).to_contain_text("message 0")
        await expect(rungs.nth(2).locator(".answer.refused")).to_have_count(0)
        await expect(rungs.nth(3)).to_contain_text("IKE_AUTH 14 ms")
        # What came of it stands beside it, and has no rung of its own.
        await expect(rungs.nth(3)).to_contain_text("IKE SA with gw.example.net is up on")
        await expect(rungs.nth(3)).to_contain_text("Child SA office c0ffee01/c0ffee02 is up")
        await expect(rungs.nth(3)).to_contain_text("5 since")
        await expect(rungs.filter(has_text="Child SA office")).to_have_count(1)
    async with look(f"/sas/{HOSTILE}") as page:
        await expect(page.locator(".ladder li").first).to_contain_text("the set-up")


async def test_what_would_happen_without_a_link_is_told_and_nothing_is_done(look: Look, stand: Stand) -> None:
    async with look(f"/sas/{PICKED}") as page:
        before = list(stand.crowd.orders)
        without, told = page.get_by_label("Without"), page.locator(".what-if")
        here = stand.crowd.sas[PICKED].local.rpartition(":")[0]
        link, other = ("wlan0", LTE) if here == WIFI else ("wwan0", WIFI)
        await without.focus()
        await without.select_option(link)
        await expect(told).to_contain_text(f"Without {link} it moves to {other}")
        await expect(told.locator("tbody tr").first).to_contain_text(GATEWAY)
        await without.select_option(SIX)
        await expect(told).to_contain_text(f"Without {SIX} it stays on {here}")
        await without.select_option("")
        await expect(told).to_be_empty()
        assert stand.crowd.orders == before


async def test_a_connection_is_brought_up_and_taken_down(look: Look, stand: Stand) -> None:
    async with look() as page:
        await page.get_by_role("button", name="Bring lab up").click()
        await expect(page.get_by_role("status")).to_contain_text("lab is being brought up")
        assert stand.crowd.orders[-1] == "up lab"
        await page.get_by_role("button", name="Take office down").click()
        await page.get_by_role("dialog").get_by_role("button", name="Take it down").click()
        await expect(page.get_by_role("status")).to_contain_text("office goes down")
        assert stand.crowd.orders[-1] == "down office"


async def test_every_order_about_one_ike_sa_reaches_the_daemon(look: Look, stand: Stand) -> None:
    crowd, ends = stand.crowd, f"{90:016x}"
    crowd.move(PICKED, local=LTE, remote=None)
    async with look(f"/sas/{PICKED}") as page:
        for name, order in (
            ("New keys", f"rekey {PICKED} ike"),
            ("Reauthenticate", f"reauth {PICKED}"),
            ("Let policy choose", f"unpin {PICKED}"),
        ):
            await page.get_by_role("button", name=name).click()
            await expect(page.locator("#said")).to_contain_text(f"{name}: ordered")
            assert crowd.orders[-1] == order
        await page.get_by_role("button", name="Log everything").click()
        await expect(page.locator("#said")).to_contain_text("logged for 10 minutes")
        (rule,) = crowd.log_levels.rules()
        assert (rule.peer, rule.level) == (PICKED, "debug")
        crowd.log_levels.end_rule(rule.id)
    crowd.move(PICKED, local=WIFI, remote=None)
    del crowd.sas[f"{PICKED}0"]
    async with look(f"/sas/{ends}", forgiven=("404",)) as page:
        await page.get_by_role("button", name="Close").click()
        await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        assert ends in crowd.sas
        await page.get_by_role("button", name="Close").click()
        await page.get_by_role("dialog").get_by_role("button", name="Close it").click()
        await expect(page.locator("#said")).to_contain_text("Close: ordered")
        assert crowd.orders[-1] == f"close {ends}"
        crowd.ids.remove(ends)


async def test_the_gateway_is_drained_and_serves_again(look: Look, stand: Stand) -> None:
    async with look("/links") as page:
        await page.get_by_label("To", exact=True).fill("gw2.example.net, 203.0.113.9")
        await page.get_by_role("button", name="Drain the gateway").click()
        await page.get_by_role("dialog").get_by_role("button", name="Drain it").click()
        await expect(page.get_by_role("status")).to_contain_text("The gateway is being drained")
        await expect(page.locator(".operations li").first).to_contain_text("drain")
        assert stand.crowd.orders[-1] == "drain gw2.example.net 203.0.113.9"
        await page.get_by_role("button", name="Serve peers here again").click()
        await expect(page.get_by_role("status")).to_contain_text("Peers are served here again")
        assert stand.crowd.orders[-1].strip() == "drain", "to nowhere"


async def test_an_operation_is_seen_and_cancelled(look: Look, stand: Stand) -> None:
    async with look("/links") as page:
        order = {"order": "probe", "select": {"connection": "roadwarriors"}, "per_second": 1}
        headers = {"Authorization": f"Bearer {stand.token}"}
        answer = await page.request.post(f"{stand.url}api/v1/operations", data=order, headers=headers)
        assert answer.status == 202
        operation = page.locator(".operations li", has_text="probe").first
        await operation.get_by_role("button", name="Cancel").click()
        await expect(operation).to_contain_text("cancelled")
        await expect(operation.get_by_role("button", name="Cancel")).to_have_count(0)


async def test_colours_that_were_chosen_stay(look: Look) -> None:
    async with look() as page:
        for name in ("light", "dark"):
            await page.locator("#theme").click()
            await expect(page.locator("html")).to_have_attribute("data-theme", name)
        await page.reload()
        await expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
        assert await page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"


async def test_the_drain_button_drains_a_link(look: Look, stand: Stand) -> None:
    async with look("/links") as page:
        card = page.locator(".link", has_text="wwan0")
        await expect(card).to_contain_text(f"{FEW} IKE SAs")
        await card.get_by_role("button", name="Drain").click()
        await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        assert "avoid wwan0" not in stand.crowd.orders
        await card.get_by_role("button", name="Drain").click()
        await page.get_by_role("dialog").get_by_role("button", name="Drain it").click()
        await expect(card).to_contain_text("0 IKE SAs")
        operation = page.locator(".operations li").first
        await expect(operation).to_contain_text(f"{FEW} of {FEW}")
        await expect(operation).to_contain_text("done")
        await card.get_by_role("button", name="again").click()
        await expect(card.get_by_role("button", name="Drain")).to_be_visible()
        assert stand.crowd.orders[-1] == "lift wwan0"


async def test_the_keyboard_is_enough(look: Look) -> None:
    async with look() as page:
        await page.evaluate("document.activeElement.blur()")
        await page.keyboard.press("Tab")
        assert await focused(page) == "Skip to the content"
        for _ in range(3):
            await page.keyboard.press("Tab")
        assert await focused(page) == "IKE SAs"
        await page.keyboard.press("Enter")
        await heading_is(page, "IKE SAs")
        await page.locator("tbody tr").nth(49).wait_for()
        for _ in range(20):
            if await focused(page) == "gw.example.net":
                break
            await page.keyboard.press("Tab")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("ArrowDown")
        assert await focused(page) == "phone-000003@example.net"
        await page.keyboard.press("Enter")
        await heading_is(page, "phone-000003@example.net")
        await page.get_by_role("button", name="Close").focus()
        await page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(dialog).to_have_count(0)


async def test_the_configuration_shows_a_difference_before_it_is_applied(look: Look, stand: Stand) -> None:
    async with look("/config") as page:
        await page.get_by_role("button", name="Compare").click()
        await expect(page.locator("del").first).to_contain_text('["a"]')
        await expect(page.locator("ins").first).to_contain_text('["b"]')
        before = stand.crowd.configurations.revision
        await page.get_by_role("button", name="Apply", exact=True).click()
        await page.get_by_role("dialog").get_by_role("button", name="Apply").click()
        await expect(page.locator(".lead")).to_contain_text(f"Revision {before + 1}")
        await page.get_by_role("button", name=f"Bring revision {before} back").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("office is changed: are reauthenticated (1 IKE SA)")
        await dialog.get_by_role("button", name="Bring it back").click()
        await expect(page.locator(".lead")).to_contain_text(f"Revision {before + 2}")


async def test_what_must_be_confirmed_is_kept_by_a_button(look: Look, stand: Stand) -> None:
    configurations = stand.crowd.configurations
    async with look("/config") as page:
        await page.get_by_role("button", name="Compare").click()
        await page.get_by_role("button", name="keep only if confirmed").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("taken back after 2 min unless it is kept here")
        await dialog.get_by_role("button", name="Apply").click()
        await expect(page.get_by_text("unless somebody keeps it")).to_be_visible()
        assert configurations.until is not None
        await page.get_by_role("button", name="Keep it").click()
        await expect(page.get_by_text("unless somebody keeps it")).to_have_count(0)
        assert configurations.until is None


async def test_any_two_revisions_are_compared(look: Look, stand: Stand) -> None:
    while stand.crowd.configurations.revision < 3:
        await stand.crowd.configurations.apply(Edit(), Author("alice", "api"))
    now = stand.crowd.configurations.revision
    async with look("/config") as page:
        card = page.locator(".card", has_text="Two revisions compared")
        await page.get_by_role("button", name=f"What revision {now - 1} changed").click()
        await expect(page.get_by_label("From")).to_have_value(str(now - 2))
        await expect(page.get_by_label("to", exact=True)).to_have_value(str(now - 1))
        await expect(card.locator("del")).to_contain_text('["a"]')
        await expect(card.locator("ins")).to_contain_text('["b"]')
        assert await focused_id(page) == "compare-to"
        await page.keyboard.press("ArrowUp")
        await expect(page.get_by_label("to", exact=True)).to_have_value(str(now))
        await page.get_by_label("From").select_option(str(now))
        await expect(card).to_contain_text("Both say the same")
        assert await page.get_by_role("button", name="What revision 1 changed").count() == 0
    assert stand.crowd.configurations.revision == now


async def test_a_failure_tells_where_both_ends_part_and_the_fix_and_can_be_logged_in_full(
    look: Look, stand: Stand
) -> None:
    async with look() as page:
        await page.get_by_role("link", name="no answer from 203.0.113.9").click()
        await heading_is(page, "Failures")
        failed = page.locator(".attempt")
        await expect(failed).to_have_count(1)
        await expect(failed).to_contain_text("do UDP 500 and 4500 pass on the way")
        await page.get_by_role("button", name="All").click()
        differs = page.locator(".attempt", has_text="198.51.100.7").locator("tr.differs")
        await expect(differs).to_have_count(3)
        await expect(differs.first).to_contain_text("aes256gcm16")
        await page.get_by_role("button", name="Log everything of 203.0.113.9").click()
        await expect(page.get_by_role("status")).to_contain_text("203.0.113.9 is logged in full")
        (rule,) = stand.crowd.log_levels.rules()
        assert (rule.peer, rule.level) == ("203.0.113.9", "debug")
        stand.crowd.log_levels.end_rule(rule.id)


async def test_a_level_of_the_log_is_set_for_a_while_and_taken_back(look: Look, stand: Stand) -> None:
    async with look("/log-levels") as page:
        await expect(page.locator(".lead")).to_contain_text("info")
        await page.get_by_label("Peer").fill("phone-000003@example.net")
        await page.get_by_label("For", exact=True).select_option("1 h")
        await page.get_by_label("For", exact=True).press("Tab")
        await page.keyboard.press("Enter")
        row = page.locator("tbody tr")
        await expect(row).to_contain_text("phone-000003@example.net")
        await expect(row).to_contain_text("59 min")
        assert [each.level for each in stand.crowd.log_levels.rules()] == ["debug"]
        await row.get_by_role("button", name="as all others again").click()
        await expect(page.get_by_text("All peers are logged alike")).to_be_visible()
        assert stand.crowd.log_levels.rules() == ()


async def test_a_credential_goes_in_is_never_shown_and_goes_when_nobody_names_it(look: Look, stand: Stand) -> None:
    async with look("/credentials") as page:
        held = stand.crowd.configurations
        annex = page.locator("tr", has_text="annex")
        await expect(annex).to_contain_text("branch")
        await expect(annex.get_by_role("button", name="Delete")).to_be_disabled()
        await annex.get_by_role("button", name="Replace").click()
        await expect(page.get_by_label("Name")).to_have_value("annex")
        content = page.get_by_label("Content")
        await content.fill("another secret of the annex")
        assert await content.evaluate("each => getComputedStyle(each).webkitTextSecurity") == "disc"
        await page.get_by_role("button", name="Set it").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("are reauthenticated (1 IKE SA)")
        await dialog.get_by_role("button", name="Cancel").click()
        assert held.held["annex"].text == "secret-of-annex"
        await page.get_by_role("button", name="Set it").click()
        await dialog.get_by_role("button", name="Replace it").click()
        await expect(page.get_by_role("status")).to_contain_text("annex is replaced")
        assert held.held["annex"].text == "another secret of the annex"
        await expect(content).to_have_value("")
        assert "another secret" not in await page.content()
        await page.get_by_role("button", name="Delete old-partner-authority").click()
        await dialog.get_by_role("button", name="Delete it").click()
        await expect(page.locator("tr", has_text="old-partner-authority")).to_have_count(0)
        assert "old-partner-authority" not in held.held


async def test_a_credential_that_somebody_else_changed_meanwhile_is_not_overwritten(look: Look, stand: Stand) -> None:
    async with look("/credentials", forgiven=("412",)) as page:
        held = stand.crowd.configurations.held
        await page.get_by_label("Name").fill("fresh")
        await page.get_by_label("Content").fill("mine, and long enough")
        await page.get_by_role("button", name="Set it").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("There is none of this name yet")
        held["fresh"] = replace(held["annex"], text="theirs")
        await dialog.get_by_role("button", name="Make it").click()
        await expect(page.get_by_role("alert")).to_contain_text("this was meant for something else")
        assert held["fresh"].text == "theirs"
        await expect(page.get_by_label("Content")).to_have_value("mine, and long enough")
        del held["fresh"]


async def test_a_token_is_told_once_opens_the_page_and_is_revoked(browser: Browser, look: Look, stand: Stand) -> None:
    async with look("/access") as page:
        await page.get_by_label("Name").fill("night-shift")
        await page.get_by_role("button", name="Make it").click()
        text = await page.get_by_label("The new token").inner_text()
        await expect(page.locator("tr", has_text="night-shift")).to_contain_text("read")
        reader = Stand(stand.crowd, stand.url, text)
        async with looking(browser, reader, "/access") as other:
            await expect(other.get_by_text("Only for admin")).to_be_visible()
        await page.get_by_role("button", name="Done").click()
        assert text not in await page.content()
        await page.get_by_role("button", name="Revoke night-shift").click()
        await page.get_by_role("dialog").get_by_role("button", name="Revoke it").click()
        await expect(page.locator("tr", has_text="night-shift")).to_have_count(0)
        await expect(page.locator("tbody tr", has_text="revoke token").first).to_contain_text("200")


async def test_events_can_be_held_and_told_by_kind(look: Look, stand: Stand) -> None:
    async with look("/events") as page:
        events = page.locator(".events li")
        await expect(events.first).to_be_visible()
        stand.crowd.happened("sa-up", "somebody came", None, "office")
        await expect(events.first).to_contain_text("somebody came")
        await page.get_by_role("button", name="Hold").click()
        stand.crowd.happened("sa-down", "somebody went", None, "office")
        await expect(page.get_by_role("button", name="Go on (1 new)")).to_be_visible()
        await expect(events.first).to_contain_text("somebody came")
        await page.get_by_role("button", name="Go on").click()
        await expect(events.first).to_contain_text("somebody went")
        await page.get_by_label("Kind").select_option("Connecting")
        await expect(events).to_have_count(1)
        await expect(events.first).to_contain_text("connect-failed")


async def test_a_reader_sees_all_and_orders_nothing(browser: Browser, stand: Stand) -> None:
    async with looking(browser, stand) as page:
        text = await page.evaluate(
            """async token => {
              const answer = await fetch("/api/v1/tokens", {method: "POST", body: JSON.stringify({name: "reader"}),
                headers: {Authorization: `Bearer ${token}`, "Content-Type": "application/json"}});
              return (await answer.json()).text;
            }""",
            stand.token,
        )
    reader = Stand(stand.crowd, stand.url, text)
    async with looking(browser, reader, f"/sas/{PICKED}") as page:
        await heading_is(page, "gw.example.net")
        for name in ("New keys", "Reauthenticate", "Close"):
            await expect(page.get_by_role("button", name=name)).to_be_disabled()


async def test_an_sa_that_ends_is_said_to_be_gone(look: Look, stand: Stand) -> None:
    gone = f"{77:016x}"
    async with look(f"/sas/{gone}", forgiven=("404",)) as page:
        await heading_is(page, "phone-000077@example.net")
        del stand.crowd.sas[gone]
        stand.crowd.ids.remove(gone)
        stand.crowd.happened("sa-down", "IKE SA is down: the peer closed it", gone, "roadwarriors")
        await heading_is(page, "This IKE SA is gone")
        await expect(page.locator(".ladder")).to_contain_text("the peer closed it")


async def heading_is(page: Page, text: str) -> None:
    await expect(page.get_by_role("heading", level=1)).to_have_text(text)


async def focused_id(page: Page) -> str:
    return str(await page.evaluate("document.activeElement.id"))


async def focused(page: Page) -> str:
    return str(await page.evaluate("document.activeElement.textContent"))
