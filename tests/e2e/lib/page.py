"""The page as a reader has it: in a browser, which is installed where it is missing; and whether its colours can be read."""

import itertools
import os
import pathlib
import re
import subprocess

import browser

ROOT = pathlib.Path(os.environ.get("TIDEMARK_ROOT", pathlib.Path(__file__).resolve().parents[3]))
FOLDER = ROOT / "src/status/page"
CSS = FOLDER / "page.css"
SIZES = {"desktop": (1300, 1400), "phone": (500, 1400)}
SCHEMES = ("dark", "light")
AA = 4.5  # the contrast that WCAG asks of text
TEXTS = ("ink", "soft", "alert", "good")  # colours of text, and what it stands on
GROUNDS = ("ground", "card", "busy", "hot")
AA_LINES = 3  # and of what is drawn
LINES = ("mark", "line-1", "line-2", "line-3", "line-4", "line-5")


def chromium():
    if browser.installed() is None:
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"], check=True,
                       env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, stdout=subprocess.DEVNULL)
    return browser.installed()


def check(url, folder):
    """How it runs, and a dashboard: at both sizes, in both schemes, by keys alone, without a word on the console."""
    for (name, size), scheme in itertools.product(SIZES.items(), SCHEMES):
        with browser.Browser(size, scheme, chromium()) as page:
            page.go(f"{url}#node=counts&view=totals&show=bars&x=item&y=n")
            page.wait("document.querySelector('#verdict.up_to_date') && document.querySelectorAll('#rows .bar').length === 7")
            html = page.value("document.body.innerHTML")
            for wanted in ('class="spark"|The history begins', "item 6", "rows/s", "Views"):
                assert re.search(wanted, html), f"{name}, {scheme}: {wanted}\n{html[-3000:]}"
            # Of the node that is chosen: rows that were committed since the page looks.
            page.wait("document.querySelectorAll('#recent-rows tbody tr').length === 10")
            assert "item" in page.value("document.querySelector('#recent-rows thead').textContent")
            page.picture(folder / f"{name}-{scheme}.png")
            page.go(f"{url}#dashboard=town&pick=item%203")
            page.wait("document.querySelectorAll('#board section').length === 3 && document.querySelector('#board .bar') "
                      "&& document.querySelector('#board svg.line polyline') && document.querySelector('#board tbody tr')")
            assert page.value("document.getElementById('choice').value") == "item 3"
            # It follows the changes: the count grows by itself.
            counted = "document.querySelector('#panel-list tbody td.number').textContent.replace(/,/g, '') * 1"
            before = page.value(counted)
            page.wait(f"{counted} > {before}")
            assert page.value("document.documentElement.scrollWidth <= innerWidth"), f"{name}: wider than its window"
            page.picture(folder / f"{name}-{scheme}-dashboard.png")
            if name == "desktop":
                by_keys(page)
            assert not page.console, page.console


def by_keys(page):
    """Tab goes to each dashboard, then to the choice, and shows where it is; another value is chosen, Enter goes elsewhere."""
    page.value("document.activeElement.blur()")
    seen = []
    for _ in range(3):
        page.press("Tab")
        seen.append(page.value("document.activeElement.id || document.activeElement.textContent"))
        outline = page.value("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", (seen, outline)
    assert seen == ["How it runs", "Town", "choice"], seen
    page.press("ArrowDown")
    page.wait("location.hash.includes('pick=item+4')")
    page.wait("document.activeElement.id === 'choice' && document.querySelector('#panel-list tbody td')?.textContent === 'item 4'")
    page.value("document.querySelector('#boards a').focus()")
    page.press("Enter", text="\r")
    page.wait("document.getElementById('board').hidden && !document.getElementById('all').hidden")


TYPESCRIPT = ROOT / ".deps/typescript"
TYPESCRIPT_VERSION = "5.9.3"


def type_errors():
    """What TypeScript says of the scripts, which are typed by comments. It comes from npm where it is missing."""
    compiler = TYPESCRIPT / "node_modules/.bin/tsc"
    if not compiler.exists():
        TYPESCRIPT.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "--no-save", "--prefix", TYPESCRIPT, f"typescript@{TYPESCRIPT_VERSION}"],
                       check=True, stdout=subprocess.DEVNULL)
    run = subprocess.run([compiler, "--allowJs", "--checkJs", "--noEmit", "--strict", "--target", "es2022",
                          "--lib", "es2022,dom,dom.iterable", *sorted(FOLDER.glob("*.js"))], capture_output=True, text=True)
    return run.stdout


def unknown_names():
    """Ids and classes that the script looks for and nothing makes, and classes that it gives and no style knows."""
    script = "".join(path.read_text() for path in sorted(FOLDER.glob("*.js")))
    page, style = ((FOLDER / name).read_text() for name in ("page.html", "page.css"))
    picture = (ROOT / "src/status/graph_svg.cc").read_text().replace('\\"', '"')
    ids = set(re.findall(r'id="([\w-]+)"', page)) | set(re.findall(r"\{id: '([\w-]+)'", script))
    given = set(re.findall(r"\bclass: '([\w-]+)'", script)) | set(re.findall(r"classList\.toggle\('([\w-]+)'", script))
    drawn = {name for names in re.findall(r'class="([^"%]+)', picture) for name in names.split()}
    styled = set(re.findall(r"\.([a-z][\w-]*)", style + picture))
    sought = set(re.findall(r"querySelector(?:All)?\([`']([^`']*)", script)) | {
        f".{name}" for name in re.findall(r"(?<!\.)\bset\('([\w-]+)'", script)}
    sought = {name for selector in sought for name in re.findall(r"\.([a-z][\w-]*)", re.sub(r"\[.*", "", selector))}
    return (set(re.findall(r"\bat\('([\w-]+)'\)", script)) - ids) | (sought - drawn) | (given - styled)


def luminance(colour):
    channels = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    return sum(weight * (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4)
               for weight, c in zip((0.2126, 0.7152, 0.0722), channels))


def contrast(one, other):
    a, b = sorted((luminance(one), luminance(other)), reverse=True)
    return (a + 0.05) / (b + 0.05)


def contrasts():
    """{(scheme, text or line, ground): contrast as a part of what it must be} of the page."""
    light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
                   for block in re.findall(r":root \{(.*?)\}", CSS.read_text(), re.S))
    found = {}
    for scheme, colours in (("light", light), ("dark", dark)):
        for text, ground in itertools.product(TEXTS, GROUNDS):
            if ground in ("busy", "hot") and text not in ("ink", "soft"):
                continue  # boxes of the picture have no other text
            found[scheme, text, ground] = contrast(colours[text], colours[ground]) / AA
        for line in LINES:
            found[scheme, line, "card"] = contrast(colours[line], colours["card"]) / AA_LINES
        found[scheme, "card", "mark"] = contrast(colours["card"], colours["mark"]) / AA  # what is chosen
    return found
