"""The bundled site: every link in it leads somewhere, and its video can be sought in."""

import re
from pathlib import Path

import pytest

import trickleweb
from tests.support.site_folder import body, request, store
from trickleweb.errors import HTTPError
from trickleweb.files import StaticSite

SITE = Path(trickleweb.__file__).parent / "site"
PAGES = sorted(page.relative_to(SITE).as_posix() for page in SITE.rglob("*.html"))


@pytest.mark.parametrize("page", PAGES)
def test_every_reference_of_a_page_is_served(page: str) -> None:
    folder = StaticSite(store(SITE))
    references = re.findall(r'(?:href|src)="(/[^"]*)"', (SITE / page).read_text("utf-8"))
    assert references
    for reference in references:
        if reference != "/nowhere":
            assert folder.plan(request(reference)).status == 200, reference


def test_the_page_that_is_not_there_has_a_page() -> None:
    folder = StaticSite(store(SITE))
    with pytest.raises(HTTPError) as caught:
        folder.plan(request("/nowhere"))
    page = folder.error_page(caught.value)
    assert page is not None
    assert (page.status, page.headers.get("Content-Type")) == (404, "text/html; charset=utf-8")


def test_the_video_begins_with_its_index_so_that_players_can_jump() -> None:
    files = store(SITE)
    plan = StaticSite(files).plan(request("/media/pattern.mp4", ("range", "bytes=0-65535")))
    start = body(files, plan)
    assert (plan.status, plan.headers.get("Content-Type")) == (206, "video/mp4")
    assert 0 < start.find(b"moov") < start.find(b"mdat")
