"""A Chromium without a window, and a page in it; a conftest imports `driver` where tests need one."""

import json
import shutil
import time

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class Page:
    """A page as a reader has it."""

    def __init__(self, driver, path):
        self.driver = driver
        self.path = path

    def open(self, *, width=1280, height=900, dark=False, touch=False):
        """Load the page and wait until everything is drawn."""
        self.driver.get_log("browser"), self.driver.get_log("performance")
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        self.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": touch})
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get(self.path.as_uri())
        self.wait("document.documentElement.dataset.ready || !document.getElementById('failure').hidden")
        assert self.js("document.getElementById('failure').textContent") == ""
        return self

    def js(self, expression, *arguments):
        return self.driver.execute_script(f"return {expression}", *arguments)

    def wait(self, expression, seconds=60.0):
        end = time.monotonic() + seconds
        while not (found := self.js(expression)):
            assert time.monotonic() < end, f"never came: {expression}"
            time.sleep(0.02)
        return found

    def by_id(self, name):
        return self.driver.find_element("id", name)

    def text(self, name):
        return self.js("document.getElementById(arguments[0]).textContent", name)

    def errors(self):
        return [entry for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def requests(self):
        """Addresses that were asked for, the page's own apart."""
        messages = [json.loads(e["message"])["message"] for e in self.driver.get_log("performance")]
        asked = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        urls = [params["request"]["url"] for params in asked]
        return [url for url in urls if url != self.path.as_uri()]


@pytest.fixture(scope="session")
def driver():
    """Chromium and its driver, where the machine has them."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    chromedriver = shutil.which("chromedriver")
    if not browser or not chromedriver:
        pytest.skip("no Chromium with its driver here (apt-get install chromium chromium-driver)")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    # Software stands in for the graphics card; a container has little shared memory.
    for flag in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "enable-unsafe-swiftshader"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=chromedriver)
    found = webdriver.Chrome(options=options, service=service)
    yield found
    found.quit()
