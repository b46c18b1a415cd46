"""A headless Chromium that says what a page asked for and complained about."""

from __future__ import annotations

import base64
import json
import os
import shutil
from pathlib import Path

DESKTOP, PHONE = (1280, 900), (390, 844)


def missing() -> str | None:
    """What is not there to run a browser with, if anything."""
    wanted = [program for program in ('chromium', 'chromedriver') if not shutil.which(program)]
    return f'{" and ".join(wanted)} not found: apt-get install chromium chromium-driver' if wanted else None


class Browser:
    """One tab; whatever it does off this machine would be in `requests`."""

    def __init__(self, profile: Path) -> None:
        from selenium.webdriver import Chrome, ChromeOptions
        from selenium.webdriver.chrome.service import Service

        options = ChromeOptions()
        options.binary_location = shutil.which('chromium')
        for argument in (
            '--headless=new',
            '--disable-dev-shm-usage',
            '--disable-gpu',
            '--hide-scrollbars',
            '--disable-background-networking',
            '--no-first-run',
            f'--user-data-dir={profile}',
        ):
            options.add_argument(argument)
        if os.geteuid() == 0:
            options.add_argument('--no-sandbox')  # Chromium refuses to start as root with one
        options.set_capability('goog:loggingPrefs', {'browser': 'ALL', 'performance': 'ALL'})
        self.driver = Chrome(options=options, service=Service(shutil.which('chromedriver')))
        self.opened = ''

    def open(self, file: Path, size: tuple = DESKTOP, dark: bool = False, script: bool = True) -> None:
        self.driver.get('about:blank')
        self.driver.get_log('browser')
        self.driver.get_log('performance')
        width, height = size
        self.command(
            'Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1, mobile=size == PHONE
        )
        self.command(
            'Emulation.setEmulatedMedia',
            features=[{'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}],
        )
        self.command('Emulation.setScriptExecutionDisabled', value=not script)
        self.opened = file.resolve().as_uri()
        self.driver.get(self.opened)
        if script:
            from selenium.webdriver.support.ui import WebDriverWait

            WebDriverWait(self.driver, 60).until(lambda _: self.run('return document.readyState') == 'complete')

    def run(self, script: str, *arguments):
        return self.driver.execute_script(script, *arguments)

    def command(self, name: str, **parameters):
        return self.driver.execute_cdp_cmd(name, parameters)

    def complaints(self) -> list[str]:
        return [entry['message'] for entry in self.driver.get_log('browser')]

    def requests(self) -> list[str]:
        """Every address that the page asked for since it was opened, itself included."""
        events = [json.loads(entry['message'])['message'] for entry in self.driver.get_log('performance')]
        asked = [
            event['params']['request']['url'] for event in events if event['method'] == 'Network.requestWillBeSent'
        ]
        return [address for address in asked if address != 'about:blank']

    def picture(self, file: Path, whole: bool = True) -> None:
        shot = self.command('Page.captureScreenshot', format='png', captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot['data']))

    def close(self) -> None:
        self.driver.quit()
