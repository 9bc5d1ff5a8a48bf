"""The figure counts what it says, and falls short where it should."""

import importlib.machinery
import importlib.util
import io
import pathlib
import tempfile
import unittest
from contextlib import redirect_stderr, redirect_stdout
from unittest import mock

PATH = pathlib.Path(__file__).with_name("coverage")
LOADER = importlib.machinery.SourceFileLoader("coverage_tool", str(PATH))
coverage = importlib.util.module_from_spec(importlib.util.spec_from_loader("coverage_tool", LOADER))
LOADER.exec_module(coverage)

SOURCE = """fn f() {
    one();
    two();
}

#[cfg(test)]
mod elsewhere;

#[cfg(all(test, not(loom)))]
#[allow(unsafe_code)]
mod tests {
    fn never() {}
}
"""


class Coverage(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name).resolve()
        (self.root / "crate/src/tests").mkdir(parents=True)
        for name in ["lib.rs", "testing.rs", "tests/mod.rs"]:
            (self.root / "crate/src" / name).write_text(SOURCE)

    def run_tool(self, lcov, *arguments):
        path = self.root / "lcov.info"
        path.write_text(lcov)
        output, errors = io.StringIO(), io.StringIO()
        arguments = ["coverage", str(path), str(self.root / "crate"), *arguments]
        with mock.patch("sys.argv", arguments), redirect_stdout(output), redirect_stderr(errors):
            status = coverage.main()
        return status, output.getvalue(), errors.getvalue()

    def lcov(self, counts):
        lines = "".join(f"DA:{line},{count}\n" for line, count in counts.items())
        files = ["lib.rs", "testing.rs", "tests/mod.rs"]
        return "".join(f"SF:{self.root}/crate/src/{name}\n{lines}end_of_record\n" for name in files)

    def test_tests_do_not_count(self):
        status, output, _ = self.run_tool(self.lcov({1: 1, 2: 5, 3: 1, 4: 1, 12: 0}))
        self.assertEqual(status, 0)
        self.assertIn("100.0 %      4 lines", output)
        self.assertNotIn("testing.rs", output)

    def test_a_crate_that_falls_short_fails_and_shows_what_is_missing(self):
        status, output, errors = self.run_tool(self.lcov({1: 1, 2: 1, 3: 0, 4: 1}), "--missing")
        self.assertEqual(status, 1)
        self.assertIn("3:     two();", output)
        self.assertIn("75.0 % of the lines, at least 95 % wanted", errors)
        status, _, _ = self.run_tool(self.lcov({1: 1, 2: 1, 3: 0, 4: 1}), "--least", "75")
        self.assertEqual(status, 0)

    def test_a_crate_that_was_not_measured_is_an_error(self):
        status, _, errors = self.run_tool("SF:/elsewhere/lib.rs\nDA:1,1\n")
        self.assertEqual(status, 2)
        self.assertIn("no line of", errors)


if __name__ == "__main__":
    unittest.main()
