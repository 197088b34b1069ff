# SPDX-License-Identifier: MIT
"""A headless Chromium in a namespace of the lab, spoken to by WebDriver (W3C)."""
import base64
import http.client
import json
import os
import shutil
import tempfile

from lab import wait_for
from watch import NamespaceConnection

PORT = 9515


class Browser:
    def __init__(self, lab, dark=False, size=(1400, 1360)):
        self.lab, self.session = lab, None
        self.home = tempfile.mkdtemp(prefix="browser-", dir=lab.dir)
        self.driver = lab.victim.spawn("chromedriver", "chromedriver", f"--port={PORT}",
                                       env={**os.environ, "HOME": self.home, "TMPDIR": self.home})
        if not wait_for(self._listens, 20, 0.1):
            raise AssertionError("chromedriver did not start: " + self.driver.log())
        args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--hide-scrollbars", "--disable-background-networking", "--no-first-run",
                # No look-ups, neither its own nor for its start page: here each ends by a timeout.
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                f"--window-size={size[0]},{size[1]}", f"--user-data-dir={self.home}/profile"]
        if dark:
            args.append("--blink-settings=preferredColorScheme=0")
        options = {"goog:chromeOptions": {"args": args}, "goog:loggingPrefs": {"browser": "ALL"}}
        self.session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": options}})["sessionId"]

    def _listens(self):
        try:
            return self._call("GET", "/status")
        except (OSError, http.client.HTTPException):
            return None

    def _call(self, method, path, body=None):
        connection = NamespaceConnection(self.lab.victim, "127.0.0.1", PORT, timeout=90)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None,
                               {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(answer, dict) and "error" in answer:
            raise AssertionError(f"{method} {path}: {answer['error']}: {answer['message']}")
        return answer

    def _of(self, method, path, body=None):
        return self._call(method, f"/session/{self.session}{path}", body)

    def open(self, url):
        self._of("POST", "/url", {"url": url})

    def run(self, script, *args):
        """The value of a JavaScript function's body."""
        return self._of("POST", "/execute/sync", {"script": script, "args": list(args)})

    def text(self, selector):
        return self.run("const e = document.querySelector(arguments[0]);"
                        "return e && e.textContent", selector)

    def complaints(self):
        """What the page wrote to the console, policy violations and missing files among it."""
        return [entry["message"] for entry in self._of("POST", "/se/log", {"type": "browser"})]

    def screenshot(self, path):
        with open(path, "wb") as f:
            f.write(base64.b64decode(self._of("GET", "/screenshot")))

    def close(self):
        if self.session:
            self._of("DELETE", "")
        self.session = None
        self.driver.stop()
        wait_for(lambda: not [c for _, c in self.lab.inside() if "chrom" in c], 10, 0.1)
        shutil.rmtree(self.home, ignore_errors=True)
