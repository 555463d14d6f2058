"""The page in a real browser: no error, no request, every figure has a size, nothing sticks out on a phone."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from report_example import example

from noble_prob.report import render

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync", "--v=0",
         "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr"]  # fmt: skip
FRAME = """<!doctype html><body style="margin:0">
<iframe id="page" style="width:{width}px;height:900px;border:0" srcdoc="{page}"></iframe>
<script>
addEventListener('load', () => {{
  const frame = document.getElementById('page').contentWindow, inside = frame.document;
  const all = query => [...inside.querySelectorAll(query)], box = e => e.getBoundingClientRect();
  const width = inside.documentElement.clientWidth;
  document.body.setAttribute('data-probe', JSON.stringify({{
    width: frame.innerWidth, client: width, scroll: inside.documentElement.scrollWidth,
    sizes: all('svg').map(s => [box(s).width, box(s).height]),
    requests: frame.performance.getEntriesByType('resource').map(r => r.name).filter(n => !n.startsWith('data:')),
    wide: all('body *').filter(e => !e.closest('.scroll') && box(e).right > width + 1)
      .map(e => e.outerHTML.slice(0, 80)),
    paper: frame.getComputedStyle(inside.body).backgroundColor}}));
}});
</script></body>"""


@pytest.fixture(scope="module")
def page() -> str:
    if CHROMIUM is None:
        pytest.skip("no Chromium here; Debian's package `chromium` is enough")
    return render(example())


def probe(page: str, folder: Path, width: int, *flags: str) -> tuple[dict, str]:
    """What the page in a frame of this width looks like once loaded, and the browser's own log."""
    document = folder / "frame.html"
    document.write_text(FRAME.format(width=width, page=html.escape(page)), encoding="utf-8")
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", "--window-size=1300,950", "--dump-dom",
               *flags, document.as_uri()]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r'data-probe="([^"]*)"', done.stdout)
    assert found, f"the page did not load: {done.stderr[-800:]}"
    return json.loads(html.unescape(found.group(1))), done.stderr


@pytest.mark.parametrize("width", [1200, 400])
def test_page_in_the_browser(page, tmp_path, width):
    seen, log = probe(page, tmp_path, width)
    assert "CONSOLE" not in log
    assert seen["requests"] == []
    assert seen["width"] == width
    assert len(seen["sizes"]) == 8
    assert all(w > 100 and h > 60 for w, h in seen["sizes"])
    assert seen["scroll"] <= seen["client"]
    assert seen["wide"] == []


def test_the_probe_sees_what_it_should(page, tmp_path):
    broken = page.replace("<main>", "<main><div style='width:900px'>x</div><script>console.error('seen')</script>")
    seen, log = probe(broken, tmp_path, 400)
    assert "CONSOLE" in log
    assert seen["scroll"] > seen["client"]
    assert seen["wide"]


def test_dark_is_dark(page, tmp_path):
    papers = []
    for k in (0, 1):
        (tmp_path / str(k)).mkdir()
        papers.append(probe(page, tmp_path / str(k), 1200, f"--blink-settings=preferredColorScheme={k}")[0]["paper"])
    brightness = [sum(map(int, re.findall(r"\d+", paper)[:3])) for paper in papers]
    assert min(brightness) < 120
    assert max(brightness) > 650
