"""Pages in a real browser: no error, no request, every figure has a size, nothing sticks out on a phone or on paper.

Three pages: the example with every part filled, and two about real data (nine repeats of frozen noise; the human PVALB
cells of a table against a prior).
"""

import html
import json
import re
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest
from cli_example import call
from report_example import example

from noble_prob.calibration import separate_drift
from noble_prob.report import render

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--v=0",
    "--disable-background-networking",
    "--disable-component-update",
    "--enable-logging=stderr",
]
PAPER_PX = 718
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
    wide: all('body *').filter(e => ({printed} || !e.closest('.scroll')) && box(e).right > width + 1)
      .map(e => e.outerHTML.slice(0, 80)),
    paper: frame.getComputedStyle(inside.body).backgroundColor}}));
}});
</script></body>"""


FIGURES = {"example": 8, "repeats": 18, "population": 6}
"""Figures of each page, at least: fewer would mean that a part is missing."""
ANALYSIS = Path(__file__).resolve().parents[2] / "analyses" / "calibration_frozen_noise.py"


@pytest.fixture(scope="module")
def chromium() -> str:
    if CHROMIUM is None:
        pytest.skip("no Chromium here; Debian's package `chromium` is enough")
    return CHROMIUM


@pytest.fixture(scope="module")
def page(chromium) -> str:
    return render(example())


@pytest.fixture(scope="module")
def repeats_page(chromium, shared_dir) -> str:
    analysis = runpy.run_path(str(ANALYSIS), run_name="analysis")
    table, trains, _ = analysis["measure_repeats"](shared_dir / "recordings" / "gif_cell3" / "cell3_test_9rep.npz")
    return render(analysis["page"](separate_drift(table, seed=1), analysis["both_halves"](table, trains), "nine"))


@pytest.fixture(scope="module")
def population_page(chromium, shared_dir, tmp_path_factory) -> str:
    out = tmp_path_factory.mktemp("population") / "out"
    table = ("--population", shared_dir / "experiment" / "human_cell_features.csv", "--where", "cell_type=PVALB")
    assert call("calibrate", *table, "--neurons", 200, "--seed", 1, "--out", out, "--quiet") == 0
    return (out / "report.html").read_text(encoding="utf-8")


@pytest.fixture(params=FIGURES)
def any_page(request) -> tuple[str, str]:
    """Name and text of each page."""
    name = "page" if request.param == "example" else f"{request.param}_page"
    return request.param, request.getfixturevalue(name)


def probe(page: str, folder: Path, width: int, *flags: str, printed: bool = False) -> tuple[dict, str]:
    """What the page in a frame of this width looks like once loaded, and the browser's own log.

    In print nothing can be scrolled, so what is wide there is too wide.
    """
    document = folder / "frame.html"
    page = page.replace("@media print", "@media all") if printed else page
    frame = FRAME.format(width=width, page=html.escape(page), printed=str(printed).lower())
    document.write_text(frame, encoding="utf-8")
    command = [
        CHROMIUM,
        *FLAGS,
        f"--user-data-dir={folder / 'profile'}",
        "--window-size=1300,950",
        "--dump-dom",
        *flags,
        document.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r'data-probe="([^"]*)"', done.stdout)
    assert found, f"the page did not load: {done.stderr[-800:]}"
    return json.loads(html.unescape(found.group(1))), done.stderr


@pytest.mark.parametrize("width", [1200, 400])
def test_page_in_the_browser(any_page, tmp_path, width):
    name, text = any_page
    seen, log = probe(text, tmp_path, width)
    assert "CONSOLE" not in log
    assert seen["requests"] == []
    assert seen["width"] == width
    assert len(seen["sizes"]) >= FIGURES[name]
    assert all(w > 100 and h > 60 for w, h in seen["sizes"])
    assert seen["scroll"] <= seen["client"]
    assert seen["wide"] == []


def test_page_on_paper(any_page, tmp_path):
    """More than one sheet, and nothing beyond the right edge of A4 with Chromium's margins (some 718 px)."""
    text = any_page[1]
    seen, _ = probe(text, tmp_path, PAPER_PX, printed=True)
    assert seen["scroll"] <= seen["client"]
    assert seen["wide"] == []
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    out = tmp_path / "page.pdf"
    command = [
        CHROMIUM,
        *FLAGS,
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--print-to-pdf={out}",
        (tmp_path / "page.html").as_uri(),
    ]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    sheets = re.findall(rb"/Type\s*/Page\b", out.read_bytes())
    assert 1 < len(sheets) < 40


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
