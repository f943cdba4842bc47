"""Ctrl-C ends what a command has started: kernels, tests, trainings, and all below them."""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress


@contextmanager
def stoppable() -> Iterator[None]:
    """Ctrl-C, SIGTERM or a closed terminal ends what runs below, says what was done, gives 130."""
    before = {
        number: signal.signal(number, signal.default_int_handler)
        for number in signal.Signals
        if number.name in ("SIGTERM", "SIGHUP")  # no SIGHUP on Windows; nohup ignores it
        and signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    except KeyboardInterrupt as stop:
        for number in (signal.SIGINT, *before):  # a second one must not stop the stopping
            signal.signal(number, signal.SIG_IGN)
        logging.disable()  # nbclient's word on each kernel that is gone
        deadline = time.monotonic() + 1.5
        while (_end_children() or _busy()) and time.monotonic() < deadline:
            time.sleep(0.1)
        with suppress(OSError):  # a closed terminal
            print(f"\n{str(stop) or 'Stopped.'}", flush=True)
        os._exit(130)  # Python would wait for a thread that still waits for its kernel
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def pool(jobs: int) -> Iterator[ThreadPoolExecutor]:
    """Threads whose queue is dropped, and that are not waited for, where the block is left."""
    threads = ThreadPoolExecutor(jobs)
    try:
        yield threads
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _busy() -> bool:
    """Whether a thread, such as a lesson's, has yet to notice that its kernel is gone."""
    return any(not t.daemon for t in threading.enumerate() if t is not threading.main_thread())


def _end_children() -> bool:
    """End every process below this one, kernels and their like; say whether there was any."""
    import psutil  # comes with ipykernel

    found: list[psutil.Process] = []
    while new := [p for p in psutil.Process().children(recursive=True) if p not in found]:
        found += new
        for process in new:
            with suppress(psutil.Error):
                process.suspend()  # so that it starts no other while the next is looked for
    for process in found:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(found, timeout=0.5)
    return bool(found)
