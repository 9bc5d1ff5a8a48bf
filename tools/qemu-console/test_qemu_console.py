"""The wrapper, with a script in the emulator's place. Run: python3 -m unittest discover tools/qemu-console"""

import os
import pty
import subprocess
import sys
import tempfile
import termios
import textwrap
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.path.join(HERE, "qemu-console")

PRELUDE = """
import os, sys, time
def say(data): os.write(1, data)
READY = b"sel4-llm is ready.\\r\\n"
HALT = b"\\x01sel4-llm: halted\\r\\n"
"""


def command(emulator):
    return [sys.executable, PROGRAM, sys.executable, "-c", PRELUDE + textwrap.dedent(emulator)]


def run(emulator, given=b"", **options):
    return subprocess.run(
        command(emulator), input=given, capture_output=True, timeout=60, **options
    )


class Pipes(unittest.TestCase):
    def test_halt_line_ends_with_status_0_and_is_not_shown(self):
        done = run("say(b'boot\\n' + READY + b'story' + HALT + b'more'); time.sleep(60)")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, b"boot\nsel4-llm is ready.\r\nstory")

    def test_lines_are_found_in_pieces(self):
        done = run(
            """
            for byte in READY + b"a\\x01b" + HALT:
                say(bytes([byte])); time.sleep(0.002)
            time.sleep(60)
            """
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, b"sel4-llm is ready.\r\na\x01b")

    def test_input_waits_for_the_ready_line_and_its_end_is_a_byte(self):
        emulator = """
            time.sleep(0.3)
            import select
            early = select.select([0], [], [], 0)[0]
            say(READY)
            data = b""
            while not data.endswith(b"\\x04"):
                data += os.read(0, 100)
            say(b"early" if early else b"<" + data + b">")
            say(HALT); time.sleep(60)
            """
        done = run(emulator, b"exit\n")
        self.assertIn(b"<exit\n\x04>", done.stdout)
        with open(__file__, "rb") as file:
            from_file = subprocess.run(
                command(emulator), stdin=file, capture_output=True, timeout=60
            )
        self.assertIn(b'"""The wrapper', from_file.stdout)

    def test_input_of_any_length_passes_an_emulator_that_answers_each_line(self):
        emulator = """
            say(READY)
            rest = b""
            while not rest.endswith(b"\\x04"):
                data = os.read(0, 512)
                say(b"echo: " + data * 4)
                rest = data
            say(HALT); time.sleep(60)
            """
        lines = b"llmstats\n" * 50_000
        with tempfile.TemporaryFile() as file:
            file.write(lines)
            file.seek(0)
            done = subprocess.run(command(emulator), stdin=file, capture_output=True, timeout=60)
        self.assertEqual((done.returncode, run(emulator, lines).returncode), (0, 0))
        self.assertGreater(len(done.stdout), 4 * len(lines))

    def test_an_emulator_that_dies_is_an_error(self):
        done = run("say(b'panic'); sys.exit(3)")
        self.assertEqual((done.returncode, done.stdout), (1, b"panic"))
        self.assertIn(b"ended by itself with status 3", done.stderr)

    def test_an_emulator_that_is_not_there_is_an_error(self):
        done = subprocess.run(
            [sys.executable, PROGRAM, "/no/such/qemu"], capture_output=True, timeout=60
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"/no/such/qemu does not start", done.stderr)

    def test_the_emulator_does_not_outlive_it(self):
        process = subprocess.Popen(
            command("say(READY + str(os.getpid()).encode() + b'\\n'); time.sleep(60)"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        process.stdout.readline()
        emulator = int(process.stdout.readline())
        process.terminate()
        self.assertEqual(process.wait(timeout=30), 128 + 15)
        process.stdin.close()
        process.stdout.close()
        with self.assertRaises(ProcessLookupError):
            os.kill(emulator, 0)


class Questions(unittest.TestCase):
    EMULATOR = r"for byte in READY + b'a\x1b[999C\x1b[6n\rb\x1b[1mc': say(bytes([byte])); time.sleep(0.002)"
    EMULATOR += "\nsay(HALT); time.sleep(60)"

    def shown_on_a_terminal(self, term):
        terminal, line = pty.openpty()
        environment = {**os.environ, "TERM": term}
        process = subprocess.Popen(
            command(self.EMULATOR), stdin=line, stdout=line, env=environment
        )
        self.assertEqual(process.wait(timeout=30), 0)
        shown = os.read(terminal, 1000)
        os.close(terminal)
        os.close(line)
        return shown.partition(b"ready.")[2].strip()

    def test_a_terminal_is_asked(self):
        self.assertEqual(self.shown_on_a_terminal("xterm"), b"a\x1b[999C\x1b[6n\rb\x1b[1mc")

    def test_nobody_else_is(self):
        self.assertEqual(self.shown_on_a_terminal("dumb"), b"ab\x1b[1mc")
        self.assertEqual(run(self.EMULATOR).stdout, b"sel4-llm is ready.\r\nab\x1b[1mc")


class Terminal(unittest.TestCase):
    def test_keys_reach_the_system_and_the_terminal_is_restored(self):
        terminal, line = pty.openpty()
        before = termios.tcgetattr(line)
        process = subprocess.Popen(
            command("say(READY); say(os.read(0, 10).hex().encode()); say(HALT); time.sleep(60)"),
            stdin=line,
            stdout=subprocess.PIPE,
        )
        process.stdout.readline()
        # Raw: neither a signal nor a line discipline stands between.
        os.write(terminal, b"\x03")
        self.assertEqual(process.stdout.read(), b"03")
        self.assertEqual(process.wait(timeout=30), 0)
        process.stdout.close()
        self.assertEqual(termios.tcgetattr(line), before)
        os.close(terminal)
        os.close(line)


if __name__ == "__main__":
    unittest.main()
