"""The long run of the torture command tells what a server is just closing from what it has left open."""

import subprocess
import sys

import psutil
import pytest

from tools.reliability.soak import FIRST, FORMATS, fewest, widgets_of

CHILD = """
import sys, threading, time
kept = []
def work(seconds):
    with open(sys.executable, "rb") as file:
        ready.set()
        time.sleep(seconds)
for line in sys.stdin:
    ready = threading.Event()
    thread = threading.Thread(target=work, args=[float(line)], daemon=True)
    thread.start()
    ready.wait()
    print("open", flush=True)
"""


@pytest.fixture
def child():
    """A child process, and a function that makes it open a file in a thread for some seconds."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def open_for(seconds: float) -> None:
            assert process.stdin
            assert process.stdout
            process.stdin.write(f"{seconds}\n")
            process.stdin.flush()
            assert process.stdout.readline() == "open\n"

        yield psutil.Process(process.pid), open_for
        process.kill()


def test_what_closes_within_a_moment_is_not_counted_and_what_stays_open_is(child):
    process, open_for = child
    open_for(0)
    files, threads = fewest(process, 1.0)
    open_for(0.5)
    assert fewest(process, 0.0) == (files + 1, threads + 1)
    assert fewest(process, 2.0) == (files, threads)
    open_for(60)
    assert fewest(process, 2.0) == (files + 1, threads + 1)


def test_every_format_was_used_when_the_first_state_is_kept():
    assert {widgets_of(number)["format"] for number in range(FIRST)} == set(FORMATS)
