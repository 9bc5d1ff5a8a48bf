# sel4-llm. `make help` lists the verbs; tools/xtask does what they say.
#
# Variables are given on the command line, as in `make run SYSTEM=disk BOARD=zcu102`, and reach the tool in the environment.

# The profile of programs for the host: release, or dev if `cargo test` has built them already.
export HOST_PROFILE ?= $(if $(filter test,$(MAKECMDGOALS)),dev,release)
XTASK := $(or $(CARGO_TARGET_DIR),target)/$(HOST_PROFILE:dev=debug)/xtask
DO = @$(XTASK) $@ \#

# Every target is a verb, whether or not there is a folder of that name.
VERBS := $(shell sed -nE 's/^([a-z0-9-]+): ; .*/\1/p' $(MAKEFILE_LIST))
.PHONY: $(VERBS) help verbs
$(VERBS): | $(XTASK)

# Cargo runs only if a source has changed, because it waits for other builds in the same folder. V=1 shows what is built.
$(XTASK): Cargo.lock $(wildcard $(foreach tool,xtask sysdesc,tools/$(tool)/Cargo.toml tools/$(tool)/src/*.rs tools/$(tool)/src/*/*.rs))
	@test -x $@ || echo 'building the tools: the first time this takes some minutes (V=1 says what is built)' >&2
	@cargo build $(if $(V),,--quiet) --profile $(HOST_PROFILE) -p xtask >&2
	@touch $@

.DEFAULT_GOAL := help

# The models of the store, by name; the first is loaded at boot. Adapters (GGUF) and training data (.jsonl, .txt) may be
# listed here too: `llmtool pack` recognises what a file is.
export MODELS ?= default=models/default.gguf tiny=models/tiny-f32.gguf

help:
	@sed -nE 's/^## (.*)/\n\1/p; s/^([a-z0-9-]+): ; \$$\(DO\) (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24
	@echo; sed -nE 's/^#: ?//p' $(MAKEFILE_LIST)

## Run (SYSTEM=disk, MODEL=FILE.gguf and EXAMPLE=triage select other systems than the main one, BOARD=NAME another board)
run: ; $(DO) on seL4 in QEMU if there is a Microkit SDK, otherwise in the simulation
sim: ; $(DO) in the simulation: a process for each protection domain
qemu: ; $(DO) on seL4 in QEMU (CONFIG=release, debug or benchmark)
image: ; $(DO) build the image for seL4, and with it store and policy
example: ; $(DO) run EXAMPLE=NAME (VARIANT=c)
docker-run: ; $(DO) run in the Docker image
tools: ; $(DO) build the host tool llmtool, and print its path

## Check
test: ; $(DO) all checks: 15 to 25 minutes on two cores; with an SDK also on seL4, 15 more for each board
lint: ; $(DO) formatting and clippy
doc: ; $(DO) the documentation
unit: ; $(DO) unit and integration tests
e2e-sim: ; $(DO) the end-to-end suites in the simulation
e2e-qemu: ; $(DO) the same on seL4 in QEMU
e2e-disk: ; $(DO) those of SYSTEM=disk, on both
example-test: ; $(DO) those of EXAMPLE=NAME, on both
test-sel4: ; $(DO) the golden vectors inside a domain on seL4
same-bits: ; $(DO) the same vectors, texts and log on every board as in the simulation
lane: ; $(DO) the boards on which checks run on seL4, and why not on others (LANE='NAME ...')

## Argue
isolation: ; $(DO) the claims, on the description and with an SDK on the image's capabilities
proofs: ; $(DO) the proofs (Rocq: Debian's package coq)
panic-check: ; $(DO) check that no message can reach a panic in the linked audit
redteam: ; $(DO) attacks by hostile domains, in the simulation and on seL4
partitions: ; $(DO) what time partitions close and cost, on seL4 (12 minutes)
loom: ; $(DO) the memory ordering of rings and workers, model-checked
sanitize: ; $(DO) unsafe code under AddressSanitizer (minutes)
coverage: ; $(DO) lines of audit and protocol covered by tests (MISSING=1 shows the others)
deny: ; $(DO) licences, duplicates, sources; ADVISORIES=1: known vulnerabilities
machete: ; $(DO) unused dependencies

## Endure
fuzz: ; $(DO) the monitor and each parser, FUZZ_SECONDS each
monitor-fuzz: ; $(DO) only the monitor, MONITOR_SECONDS from seed MONITOR_FIRST on
fuzz-planted: ; $(DO) check that the fuzz finds planted bugs (an hour)
soak: ; $(DO) SOAK_REQUESTS random requests in the simulation
storm: ; $(DO) STORM_FAULTS consecutive faults and hangs on seL4; storm-sim: in the simulation

## Measure
bench: ; $(DO) kernels and models on this machine
bench-peers: ; $(DO) every format compared with llama.cpp (an hour)
bench-qemu: ; $(DO) speed and instructions on seL4
bench-boards: ; $(DO) instructions per token and per domain crossing on each board

## Make again
isolation-docs: ; $(DO) files generated from system.xml
protocol-docs: ; $(DO) the tables of messages in docs/protocol.md
redteam-docs: ; $(DO) tests/redteam/results.md, with results from this machine
client-c: ; $(DO) the header and the libraries for clients in C, into build/client-c
train: ; $(DO) TRAIN=default, tiny or triage: a model, from its data to a signed file
clean: ; $(DO) remove what was built

#: `make verbs` lists parts of these, and verbs that are rarely needed.

# Parts of the above, for work on one of them.
store: ; $(DO)
policy: ; $(DO)
sim-build: ; $(DO)
description: ; $(DO)
llmtool: ; $(DO)
example-sim: ; $(DO)
example-image: ; $(DO)
example-test-sel4: ; $(DO)
client-c-host: ; $(DO)
client-c-header: ; $(DO)
sim-c: ; $(DO)
isolation-description: ; $(DO)
isolation-disk: ; $(DO)
capdl: ; $(DO)
isolation-fixture: ; $(DO)
panic-check-disk: ; $(DO)
lint-sel4: ; $(DO)
unit-aarch64: ; $(DO)
test-train: ; $(DO)
e2e-disk-sim: ; $(DO)
e2e-disk-qemu: ; $(DO)
e2e-cores-sim: ; $(DO)
test-disk-sel4: ; $(DO)
test-cores-sel4: ; $(DO)
test-sel4-fails: ; $(DO)
same-texts: ; $(DO)
storm-sim: ; $(DO)
storm-cores: ; $(DO)
storm-cores-sim: ; $(DO)
redteam-sim: ; $(DO)
redteam-cores-sim: ; $(DO)
redteam-qemu: ; $(DO)
redteam-files-qemu: ; $(DO)
redteam-mutations: ; $(DO)
bench-neon: ; $(DO)
bench-riscv: ; $(DO)
bench-plot: ; $(DO)
bench-ahead: ; $(DO)
bench-load: ; $(DO)

verbs:
	@printf '%s\n' $(VERBS) | sort | column
