"""The watcher, with a script in the emulator's place. Run: python3 -m unittest discover tools/test-sel4"""

import os
import subprocess
import sys
import textwrap
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.path.join(HERE, "watch")

PRELUDE = """
import os, sys, time
def say(text): os.write(1, text.replace("\\n", "\\r\\n").encode())
HALT = "\\x01sel4-llm: halted\\n"
"""


def run(emulator, *options):
    command = [sys.executable, PROGRAM, *options, sys.executable, "-c", PRELUDE + textwrap.dedent(emulator)]
    return subprocess.run(command, capture_output=True, timeout=60, text=True)


class Watching(unittest.TestCase):
    def refused(self, emulator, why, *options):
        done = run(emulator, *options)
        self.assertEqual(done.returncode, 1, done)
        self.assertIn(why, done.stderr)
        return done

    def test_a_run_that_passes_is_status_0_and_is_passed_on(self):
        done = run("say('boot\\ntest a ... ok\\ntest b (NEON) ... ok\\n2 passed, 0 failed\\n' + HALT); time.sleep(60)")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("test b (NEON) ... ok\n2 passed, 0 failed\n", done.stdout)
        self.assertNotIn("\x01", done.stdout)

    def test_lines_are_found_in_pieces(self):
        done = run(
            """
            for character in "test a ... ok\\n1 passed, 0 failed\\n" + HALT:
                say(character); time.sleep(0.002)
            time.sleep(60)
            """
        )
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_test_that_fails_fails_the_run_with_its_name(self):
        self.refused(
            "say('test a ... ok\\ntest b ... FAILED: got 1, expected 2\\n1 passed, 1 failed\\n' + HALT)",
            "failed: b",
        )

    def test_a_closing_line_is_wanted_alone_on_its_line_and_once(self):
        self.refused("say('test a ... ok\\n' + HALT)", "no closing line")
        self.refused("say('test a ... ok\\nin all 1 passed, 0 failed\\n' + HALT)", "no closing line")
        self.refused("say('test a ... 1 passed, 0 failed\\n' + HALT)", "no closing line")
        self.refused("say('test a ... ok\\n1 passed, 0 failed\\n1 passed, 0 failed\\n' + HALT)", "a second")
        self.refused("say('test a ... ok\\n1 passed, 0 failed\\ntest b ... ok\\n' + HALT)", "after the closing line")

    def test_a_closing_line_that_does_not_fit_the_tests_is_an_error(self):
        self.refused("say('test a ... ok\\n2 passed, 0 failed\\n' + HALT)", "says (2, 0)")
        # A test whose line was broken off is neither.
        self.refused("say('test a ... ok\\ntest b ... \\n1 passed, 1 failed\\n' + HALT)", "says (1, 1)")
        self.refused("say('test a ... FAILED: no\\n1 passed, 0 failed\\n' + HALT)", "says (1, 0)")

    def test_a_run_without_tests_is_an_error(self):
        self.refused("say('0 passed, 0 failed\\n' + HALT)", "no test has run")

    def test_silence_is_an_error_that_names_the_test_under_way(self):
        start = time.monotonic()
        self.refused(
            "say('test a ... ok\\ntest b ... '); time.sleep(60)",
            "silence for 0.5 s during b",
            "--silence",
            "0.5",
        )
        self.assertLess(time.monotonic() - start, 30)
        # The closing line alone is no end.
        closed = "say('test a ... ok\\n1 passed, 0 failed\\n'); time.sleep(60)"
        self.refused(closed, "silence", "--silence", "0.5")

    def test_a_run_that_never_ends_is_an_error(self):
        talk = "while True: say('test a ... ok\\n'); time.sleep(0.01)"
        self.refused(talk, "not at its end after 0.5 s", "--silence", "10", "--limit", "0.5")
        self.refused("while True: say('x' * 4096)", "a line of more than")

    def test_a_fault_that_a_debug_kernel_reports_is_an_error_at_once(self):
        start = time.monotonic()
        self.refused(
            "say('test a ... \\nMON|ERROR: received message 0x6  badge: 0x1\\n'); time.sleep(60)",
            "a domain has faulted",
        )
        self.assertLess(time.monotonic() - start, 30)

    def test_an_emulator_that_ends_by_itself_is_an_error(self):
        whole = "say('test a ... ok\\n1 passed, 0 failed\\n'); sys.exit(3)"
        self.refused(whole, "ended by itself with status 3")

    def test_an_emulator_that_is_not_there_is_an_error(self):
        done = subprocess.run([sys.executable, PROGRAM, "/no/such/qemu"], capture_output=True, timeout=60, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("/no/such/qemu does not start", done.stderr)


if __name__ == "__main__":
    unittest.main()
