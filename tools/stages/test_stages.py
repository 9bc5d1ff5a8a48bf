"""What `make test` says of its stages."""

import os
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

STAGES = Path(__file__).parent / "stages"

MAKEFILE = """
ok-%:
\t@echo $@ board=$(BOARD) with $(HOST_PROFILE)
bad:
\t@echo bad says why; false
slow:
\t@echo $$$$ >slow.pid; sleep 60
"""


class Stages(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "Makefile").write_text(MAKEFILE)

    def start(self, *arguments):
        # The variables of the make that runs these tests are not those of the make that they run.
        environment = {
            name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")
        }
        return subprocess.Popen(
            [STAGES, "out", *arguments],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run_stages(self, *arguments):
        process = self.start(*arguments)
        output, error = process.communicate(timeout=30)
        return process.returncode, output, error

    def table(self):
        lines = (self.folder / "out/times.txt").read_text().splitlines()
        words = [line.split() for line in lines]
        return {line[-1]: line[0].rstrip(",") for line in words}

    def test_every_stage_runs_on_its_board_and_the_table_has_its_time(self):
        status, output, _ = self.run_stages("ok-1 ok-2", "ok-3", "--", "ok-4@zcu102")
        self.assertEqual(status, 0)
        self.assertIn("ok-1 board= with dev", output)
        self.assertIn("ok-4 board=zcu102 with dev", output)
        self.assertEqual(list(self.table()), ["ok-1", "ok-2", "ok-3", "ok-4@zcu102", "all"])

    def test_a_stage_that_fails_stops_the_others_and_its_words_come_last(self):
        begun = time.monotonic()
        status, output, error = self.run_stages("ok-1 bad ok-2", "slow", "--", "ok-4")
        self.assertEqual(status, 1)
        self.assertLess(time.monotonic() - begun, 20)
        self.assertIn("bad says why", output.rpartition("====")[2])
        self.assertIn("bad failed", error)
        table = self.table()
        self.assertEqual(table["bad"], "FAILED")
        self.assertEqual(table["ok-2"], "not")
        self.assertEqual(table["ok-4"], "not")
        self.assertEqual(table["slow"], "stopped")

    def test_what_is_interrupted_leaves_nothing_running(self):
        process = self.start("slow")
        pid_file = self.folder / "slow.pid"
        for _ in range(100):
            if pid_file.exists() and pid_file.read_text().strip():
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        self.assertEqual(process.returncode, 128 + signal.SIGTERM)
        pid = int(pid_file.read_text())
        for _ in range(100):
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.1)
        self.fail(f"{pid} still runs")


if __name__ == "__main__":
    unittest.main()
