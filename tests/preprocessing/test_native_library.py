"""Native libraries write nothing on the terminal and leave stderr as it was."""

import os
import threading

from gbvnet.preprocessing.native_library import silenced_stderr


def test_stderr_is_restored_though_two_threads_silence_it(capfd):
    first_began, second_began, first_ended = (threading.Event() for _ in range(3))

    def first():
        with silenced_stderr("first"):
            first_began.set()
            second_began.wait(0.2)
        first_ended.set()

    def second():
        first_began.wait(5)
        with silenced_stderr("second"):
            second_began.set()
            first_ended.wait(5)  # so that it ends last, with what it took for stderr

    threads = [threading.Thread(target=each) for each in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    os.write(2, b"seen")
    assert capfd.readouterr().err == "seen"
