"""The page of a map: what it holds, read back here; and what it does, in a headless Chromium."""

import base64
import gzip
import json
import os
import re
import shutil
import time
import warnings

import numpy as np
import pytest

from skembed import EmbeddingTable
from skembed.inspection import EmbeddingDisplay

EVIL = ["</script><script>window.hacked=1</script>", "<img src=x onerror=window.hacked=1>", "<!--<script>", "%%data%%"]


def words(n=400, dim=12, seed=0):
    rng = np.random.default_rng(seed)
    clusters = rng.integers(0, 4, n)
    vectors = 3 * rng.normal(size=(4, dim))[clusters] + rng.normal(size=(n, dim))
    return EmbeddingTable([*EVIL, None, "Köln", *(f"word {i}" for i in range(n - 6))], vectors), clusters


def write(path, table, title="Words", metric="cosine", n_neighbors=10, **kwargs):
    display = EmbeddingDisplay.from_table(table, random_state=0, **kwargs)
    display.to_html(path, title=title, metric=metric, n_neighbors=n_neighbors)
    return display, path.read_text("utf-8")


def data_of(html):
    """Return the data of a page, as a browser takes it: up to the first end of a script."""
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)[1])
    return data | {"keys": json.loads(gzip.decompress(base64.b64decode(data["keys"])))}


def unpack(text, dtype):
    planes = np.frombuffer(gzip.decompress(base64.b64decode(text)), dtype=np.uint8)
    size = np.dtype(dtype).itemsize
    return planes.reshape(size, -1).T.copy().view(np.dtype(dtype).newbyteorder("<")).ravel()


class TestPage:
    def test_neighbours_are_exact_and_of_the_full_space(self, tmp_path):
        table, _ = words()
        for metric in ("cosine", "euclidean", "dot"):
            _, html = write(tmp_path / "map.html", table, metric=metric, n_neighbors=7)
            data = data_of(html)
            rows = unpack(data["neighbors"], np.uint32).reshape(400, 7)
            steps = unpack(data["scores"], np.uint16).reshape(400, 7)
            scores = data["scoreLow"] + steps / 65535 * (data["scoreHigh"] - data["scoreLow"])
            for i in (0, 4, 77, 399):
                expected = table.nearest(table.keys[i], k=7, metric=metric)
                assert table.keys[rows[i]].tolist() == [key for key, _ in expected]
                spread = data["scoreHigh"] - data["scoreLow"]
                np.testing.assert_allclose(scores[i], [score for _, score in expected], atol=spread / 65535)

    @pytest.mark.parametrize("scale", [1e25, 1e38])
    def test_scores_beyond_float32_are_its_largest_and_keep_their_order(self, tmp_path, scale):
        vectors = scale * np.random.default_rng(0).uniform(-1, 1, size=(20, 4)).astype(np.float32)
        table = EmbeddingTable(range(20), vectors)
        display = EmbeddingDisplay(table, np.zeros((20, 2)))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            display.to_html(tmp_path / "map.html", metric="dot", n_neighbors=5)

        def refuse(name):
            raise ValueError(name)  # as JSON.parse does

        html = (tmp_path / "map.html").read_text("utf-8")
        json.loads(re.search(r'id="data">(.*?)</script>', html, re.DOTALL)[1], parse_constant=refuse)
        rows = unpack(data_of(html)["neighbors"], np.uint32).reshape(20, 5)
        assert table.keys[rows[0]].tolist() == [key for key, _ in table.nearest(0, k=5, metric="dot")]
        assert abs(data_of(html)["scoreHigh"]) <= np.finfo(np.float32).max

    def test_coordinates_are_kept_to_a_65_thousandth_of_the_map(self, tmp_path):
        table, _ = words()
        for dim in (2, 3):
            display, html = write(tmp_path / "map.html", table, dim=dim)
            steps = unpack(data_of(html)["coordinates"], np.uint16).reshape(400, dim)
            extent = np.ptp(display.coordinates, axis=0).max()
            middle = (display.coordinates.min(axis=0) + display.coordinates.max(axis=0)) / 2
            np.testing.assert_allclose(
                (steps / 65535 - 0.5) * extent + middle, display.coordinates, atol=extent / 65535
            )

    def test_text_of_the_user_ends_no_script_and_opens_no_tag(self, tmp_path):
        table, _ = words()
        fields = {EVIL[0]: [EVIL[i % 4] for i in range(400)]}
        _, html = write(
            tmp_path / "map.html", table, title=EVIL[0], fields=fields, color=EVIL[0], links={EVIL[1]: [EVIL[:2]]}
        )
        assert not any(evil in html for evil in EVIL[:3])
        assert html.count("<script") == 2
        assert html.count("</script>") == 2
        assert data_of(html)["keys"][:6] == [*EVIL, "missing", "Köln"]
        assert "<title>&lt;/script&gt;" in html

    def test_nothing_is_fetched(self, tmp_path):
        html = write(tmp_path / "map.html", words()[0])[1]
        assert "default-src 'none'" in html
        assert not re.search(r"https?:|@import|@font-face|<link|<img|\bsrc=|\bfetch\(|XMLHttpRequest", html)

    def test_the_same_page_every_time(self, tmp_path):
        table, clusters = words()
        pages = {write(tmp_path / "map.html", table, color=clusters)[1] for _ in range(2)}
        assert len(pages) == 1

    @pytest.mark.parametrize("n", [1, 2, 5])
    def test_few_points(self, tmp_path, n):
        table = EmbeddingTable(range(n), np.eye(n, 3))
        data = data_of(write(tmp_path / "map.html", table)[1])
        assert data["nNeighbors"] == n - 1
        assert data_of(write(tmp_path / "map.html", table, n_neighbors=0)[1])["nNeighbors"] == 0

    @pytest.mark.parametrize(
        ("kwargs", "message"),
        [
            ({"n_neighbors": -1}, "n_neighbors must be an int from 0 to 100, got -1"),
            ({"n_neighbors": 2.0}, "got 2.0"),
            ({"metric": "manhattan"}, "metric must be one of 'cosine'.*got 'manhattan'"),
        ],
    )
    def test_what_does_not_fit_is_named_and_no_file_is_left(self, tmp_path, kwargs, message):
        with pytest.raises(ValueError, match=message):
            write(tmp_path / "map.html", words()[0], **kwargs)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(("most", "dtype"), [(2**24, "f4"), (1_411_778_724, "f8"), (1e300, "f8"), (2.5, "f4")])
    def test_numbers_are_those_that_were_given(self, tmp_path, most, dtype):
        """A page shows integers in full, such as populations, of which float32 has the first seven digits."""
        table = EmbeddingTable(list("abcd"), np.eye(4))
        numbers = [most, -most, 0.5, None]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            field = data_of(write(tmp_path / "map.html", table, color=numbers)[1])["fields"][0]
        assert field["isDouble"] == (dtype == "f8")
        np.testing.assert_array_equal(unpack(field["numbers"], f"<{dtype}"), [most, -most, 0.5, np.nan])

    def test_bytes_a_point(self, tmp_path):
        table = EmbeddingTable([f"word {i}" for i in range(5000)], np.random.default_rng(0).normal(size=(5000, 8)))
        code = len(write(tmp_path / "map.html", table.subset(["word 1"]))[1])
        assert (len(write(tmp_path / "map.html", table)[1]) - code) / 5000 < 75


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """Yield a function that opens a page in a headless Chromium; skip where there is none to drive."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium drives the browser")
    from selenium.webdriver.chrome.service import Service

    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("chromium and chromedriver are not both installed")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    flags = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
    for flag in f"{flags} disable-component-update disable-sync window-size=1200,800".split():
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    browser.set_script_timeout(60)

    def open_page(path, renderer="canvas"):
        browser.get("about:blank")
        browser.get(f"{path.as_uri()}#{renderer}")
        deadline = time.monotonic() + 60
        while not browser.execute_script("return Boolean(window.embeddingMap)"):
            if time.monotonic() > deadline:
                raise TimeoutError(browser.find_element("id", "wait").text)
            time.sleep(0.05)
        settle(browser)
        return browser

    yield open_page
    browser.quit()


def settle(browser):
    """Wait until what was asked for has been drawn."""
    browser.execute_async_script(
        "const done = arguments[0], map = window.embeddingMap;"
        "const wait = (n) => n ? requestAnimationFrame(() => wait(n - 1)) : done();"
        "setTimeout(() => wait(2), 260)"  # a glide takes 220 ms
    )


def click(browser, key):
    """Click the point of a key on the map."""
    from selenium.webdriver.common.action_chains import ActionChains

    x, y = browser.execute_script(
        "const map = window.embeddingMap, i = map.data.keys.indexOf(arguments[0]), [x, y] = map.toScreen(i);"
        "return [x - map.view.width / 2, y - map.view.height / 2]",
        key,
    )
    over = browser.find_element("id", "over")
    ActionChains(browser).move_to_element_with_offset(over, round(x), round(y)).click().perform()
    settle(browser)


def listed(browser):
    rows = browser.find_elements("css selector", "#panel li button")
    return [
        (row.find_elements("tag name", "span")[0].text, float(row.find_elements("tag name", "span")[1].text))
        for row in rows
    ]


def errors(browser):
    return [line for line in browser.get_log("browser") if line["level"] == "SEVERE"]


class TestInChromium:
    @pytest.mark.parametrize("renderer", ["webgl", "canvas"])
    def test_points_are_drawn_in_their_colours(self, chromium, tmp_path, renderer):
        table = EmbeddingTable(["left", "right"], [[-1.0, 0.0], [1.0, 0.0]])
        write(tmp_path / "map.html", table, color=["a", "b"])
        browser = chromium(tmp_path / "map.html", renderer)
        if renderer == "webgl" and browser.execute_script("return window.embeddingMap.renderer.name") == "canvas":
            pytest.skip("this Chromium has no WebGL")
        pixels = browser.execute_script(
            "const map = window.embeddingMap, copy = document.createElement('canvas');"
            "copy.width = map.canvas.width; copy.height = map.canvas.height; map.draw();"
            "const context = copy.getContext('2d'); context.drawImage(map.canvas, 0, 0);"
            "return [0, 1].map((i) => Array.from(context.getImageData("
            "...map.toScreen(i).map((v) => Math.round(v * map.view.ratio)), 1, 1).data))"
        )
        np.testing.assert_allclose([p[:3] for p in pixels], [[0, 0x72, 0xB2], [0xE6, 0x9F, 0]], atol=3)
        assert not errors(browser)

    def test_click_shows_the_neighbours_that_the_table_has(self, chromium, tmp_path):
        table, clusters = words()
        write(tmp_path / "map.html", table, fields={"cluster": clusters, "weight": np.arange(400) / 4})
        browser = chromium(tmp_path / "map.html")
        # a point that no other lies on top of
        key = browser.execute_script(
            "const map = window.embeddingMap;"
            "for (let i = 6; i < 400; i++) if (map.hit(...map.toScreen(i)) === i) return map.data.keys[i]"
        )
        click(browser, key)
        assert browser.find_element("css selector", "#panel h2").text == key
        expected = table.nearest(key, k=10)
        found = listed(browser)
        assert [name for name, _ in found] == ["missing" if k is None else k for k, _ in expected]
        np.testing.assert_allclose([score for _, score in found], [score for _, score in expected], atol=6e-4)
        row = table.keys.tolist().index(key)
        assert [dd.text for dd in browser.find_elements("css selector", "#panel dd")] == [
            str(clusters[row]),
            f"{row / 4:g}",
        ]
        browser.find_elements("css selector", "#panel li button")[2].click()
        settle(browser)
        assert browser.find_element("css selector", "#panel h2").text == found[2][0]
        assert not errors(browser)

    def test_search_suggests_and_goes_there(self, chromium, tmp_path):
        from selenium.webdriver.common.keys import Keys

        write(tmp_path / "map.html", words()[0])
        browser = chromium(tmp_path / "map.html")
        browser.find_element("id", "over").send_keys("/")
        box = browser.switch_to.active_element
        assert box.get_attribute("id") == "search"
        box.send_keys("WORD 12")
        options = browser.find_elements("css selector", "#found li")
        assert options[0].text == "word 12"
        assert {option.text for option in options[1:]} <= {f"word 12{i}" for i in range(10)}
        box.send_keys(Keys.ARROW_DOWN, Keys.ENTER)
        settle(browser)
        assert browser.find_element("css selector", "#panel h2").text == "word 120"
        box.clear()
        box.send_keys("nowhere")
        assert browser.find_element("id", "found").text == "No such key on this map"

    def test_keys_of_the_user_are_text_on_the_page(self, chromium, tmp_path):
        table, _ = words()
        fields = {EVIL[1]: [EVIL[i % 4] for i in range(400)]}
        write(tmp_path / "map.html", table, title=EVIL[1], color=EVIL[1], fields=fields, links={EVIL[1]: [EVIL[:2]]})
        browser = chromium(tmp_path / "map.html")
        assert browser.title == EVIL[1]
        assert browser.find_element("tag name", "h1").text == EVIL[1]
        for i in range(4):
            browser.execute_script(f"window.embeddingMap.select({i}, true)")
            assert browser.find_element("css selector", "#panel h2").text == EVIL[i]
        box = browser.find_element("id", "search")
        box.send_keys("<")
        assert EVIL[1] in [option.text for option in browser.find_elements("css selector", "#found li")]
        assert browser.execute_script("return window.hacked") is None
        assert not browser.find_elements("css selector", "img")
        assert not errors(browser)

    def test_zoom_pan_and_keys(self, chromium, tmp_path):
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
        from selenium.webdriver.common.keys import Keys

        write(tmp_path / "map.html", words()[0])
        browser = chromium(tmp_path / "map.html")
        over = browser.find_element("id", "over")

        def view():
            settle(browser)
            return np.array(browser.execute_script("const v = window.embeddingMap.view; return [v.x, v.y, v.scale]"))

        start = view()
        under = browser.execute_script("const v = window.embeddingMap.view; return v.x + 100 / v.scale")
        ActionChains(browser).scroll_from_origin(ScrollOrigin.from_element(over, 100, 0), 0, -200).perform()
        x, _, scale = view()
        assert scale > 1.3 * start[2]
        assert x + 100 / scale == pytest.approx(under, abs=1 / scale)  # what lies under the mouse stays there
        browser.find_element("id", "out").click()
        assert view()[2] == pytest.approx(scale / 1.6)
        browser.find_element("id", "all").click()
        np.testing.assert_allclose(view(), start)
        ActionChains(browser).move_to_element(over).click_and_hold().move_by_offset(50, 30).release().perform()
        moved = view()
        np.testing.assert_allclose((start[:2] - moved[:2]) * start[2], [50, -30], atol=2)
        assert not browser.find_elements("css selector", "#panel h2")  # a drag is no click
        over.send_keys("0")
        np.testing.assert_allclose(view(), start)
        over.send_keys("+", Keys.ARROW_RIGHT)
        assert view()[2] == pytest.approx(1.5 * start[2])
        over.send_keys(Keys.ENTER)
        assert browser.find_elements("css selector", "#panel h2")
        over.send_keys(Keys.ESCAPE)
        assert not browser.find_elements("css selector", "#panel h2")

    def test_two_fingers_zoom(self, chromium, tmp_path):
        write(tmp_path / "map.html", words()[0])
        browser = chromium(tmp_path / "map.html")
        before = browser.execute_script("return window.embeddingMap.view.scale")
        for kind, apart in (("touchStart", 40), ("touchMove", 60), ("touchMove", 100), ("touchEnd", None)):
            points = [] if apart is None else [{"x": 400 + s * apart, "y": 300, "id": s + 1} for s in (-1, 1)]
            browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        settle(browser)
        after = browser.execute_script("return window.embeddingMap.view.scale")
        assert after / before == pytest.approx(100 / 40, rel=0.5)
        assert after > 1.3 * before

    def test_colour_by_a_field_and_one_group_alone(self, chromium, tmp_path):
        table, clusters = words()
        fields = {"cluster": [f"c{c}" for c in clusters], "weight": np.arange(400.0)}
        write(tmp_path / "map.html", table, fields=fields, color="cluster")
        browser = chromium(tmp_path / "map.html")
        field = browser.find_element("id", "field")
        assert [option.text for option in field.find_elements("tag name", "option")] == ["none", "cluster", "weight"]
        browser.find_elements("css selector", "#legend button")[1].click()
        shown = "return Array.from(window.embeddingMap.colors).filter((_, i) => i % 4 === 3 ).map((a) => a === 255)"
        assert browser.execute_script(shown) == (clusters == 1).tolist()
        field.find_elements("tag name", "option")[2].click()
        tints = browser.execute_script("return Array.from(window.embeddingMap.colors)")
        assert len({tuple(tints[i : i + 3]) for i in range(0, 1600, 4)}) > 100
        assert "weight" in browser.find_element("id", "legend").text

    def test_dark_and_light(self, chromium, tmp_path):
        write(tmp_path / "map.html", words()[0])
        browser = chromium(tmp_path / "map.html")
        papers = []
        for scheme in ("light", "dark"):
            feature = [{"name": "prefers-color-scheme", "value": scheme}]
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": feature})
            settle(browser)
            papers.append(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        brightness = [sum(map(int, re.findall(r"\d+", paper))) for paper in papers]
        assert brightness[0] > 600 > 200 > brightness[1]

    def test_three_dimensions_turn(self, chromium, tmp_path):
        from selenium.webdriver.common.action_chains import ActionChains

        write(tmp_path / "map.html", words()[0], dim=3)
        browser = chromium(tmp_path / "map.html")
        read = "return Array.from(window.embeddingMap.xy.slice(0, 40))"
        before = np.array(browser.execute_script(read))
        over = browser.find_element("id", "over")
        ActionChains(browser).move_to_element(over).click_and_hold().move_by_offset(80, 20).release().perform()
        settle(browser)
        assert np.abs(np.array(browser.execute_script(read)) - before).max() > 0.05
        turn = np.array(browser.execute_script("return window.embeddingMap.turn"))
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)

    def test_the_grid_finds_what_a_search_of_all_points_finds(self, chromium, tmp_path):
        write(tmp_path / "map.html", words(2000)[0])
        browser = chromium(tmp_path / "map.html")
        xy = np.array(browser.execute_script("return Array.from(window.embeddingMap.xy)")).reshape(-1, 2)
        view = browser.execute_script("return window.embeddingMap.view")
        places = np.random.default_rng(0).uniform([0, 0], [view["width"], view["height"]], (300, 2))
        found = browser.execute_script("return arguments[0].map((p) => window.embeddingMap.hit(...p))", places.tolist())
        middle = np.array([view["width"], view["height"]]) / 2
        at = (places - middle) / view["scale"] * [1, -1] + [view["x"], view["y"]]
        distances = np.linalg.norm(xy[None] - at[:, None], axis=2) * view["scale"]
        expected = np.where(distances.min(axis=1) <= 12, distances.argmin(axis=1), -1)
        assert np.mean(np.array(found) == expected) > 0.99  # but for equally near ones
        assert 10 < (expected >= 0).sum() < 300

    @pytest.mark.slow
    def test_a_hundred_thousand_points_move(self, chromium, tmp_path):
        n = 100_000
        table = EmbeddingTable([f"word {i}" for i in range(n)], np.random.default_rng(0).normal(size=(n, 3)))
        write(tmp_path / "map.html", table, color=np.arange(n) % 7)
        browser = chromium(tmp_path / "map.html")
        frames = browser.execute_async_script(
            "const done = arguments[0], map = window.embeddingMap, times = [];"
            "const step = (now) => { times.push(now); map.pan(3, 1); map.zoom(times.length % 2 ? 1.02 : 0.98);"
            "  times.length < 40 ? requestAnimationFrame(step) : done(times); }; requestAnimationFrame(step)"
        )
        print(f"{os.path.getsize(tmp_path / 'map.html'):,} bytes, {np.median(np.diff(frames)):.1f} ms a frame")
        assert browser.execute_script("return window.embeddingMap.hit(400, 300)") >= 0
        assert not errors(browser)
