# sel4-llm. `make help` lists the targets.

.DEFAULT_GOAL := help
V ?=
CARGO := cargo
QUIET := $(if $(V),,--quiet)

# CARGO_TARGET_DIR is honoured; the programs are built there.
TARGET_DIR := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
# `make test` runs the programs that `cargo test` has built.
HOST_PROFILE ?= release
BIN := $(TARGET_DIR)/$(HOST_PROFILE:dev=debug)
BUILD := build

# The models of the store, by name; the first is loaded at boot. Adapters (GGUF) and training data (.jsonl, .txt) may be
# listed here too: `llmtool pack` recognises what a file is.
MODELS := default=models/default.gguf tiny=models/tiny-f32.gguf
STORE := $(BUILD)/store/store.tar
# The policy with the keys that sign the store's models.
STORE_POLICY := policy.toml

# MODEL=FILE (or NAME=FILE, or several in quotes): models of your own instead of those, with adapters and training data.
# `llmtool system` makes a system that fits them, with CONTEXT tokens and a cache for SESSIONS of that length, and signs
# them with this machine's key.
MODEL ?=
CONTEXT ?=
SESSIONS ?=
comma := ,
# Looked for before anything is built. Spaces stand between files, so no file's name can have one.
MODEL_LOST := $(firstword $(foreach file,$(MODEL),$(if $(wildcard $(subst $(firstword $(subst =, ,$(file)))=,,$(file))),,$(file))))
$(if $(MODEL_LOST),$(error MODEL='$(MODEL)': there is no file '$(MODEL_LOST)'$(if $(word 2,$(MODEL)),; spaces stand between files$(comma) so a file whose name has one needs another name: ln -s 'OLD NAME.gguf' NEW-NAME.gguf)))
MODEL_OUT := $(BUILD)/own
MODEL_SYSTEM := $(MODEL_OUT)/system.xml

# BOARD=NAME: a file in boards/. The values needed here are on lines of their own in it.
BOARD ?= qemu_virt_aarch64
BOARDS := $(patsubst boards/%.toml,%,$(wildcard boards/*.toml))
$(if $(filter $(BOARD),$(BOARDS)),,$(error no board '$(BOARD)': there is $(BOARDS)))
line_of_board = $(shell sed -nE 's/^$(2) = "(.*)"/\1/p' boards/$(1).toml)
board_line = $(call line_of_board,$(BOARD),$(1))
ARCH := $(call board_line,arch)
# Memory of the emulated board.
MEMORY := $(call board_line,memory)

# The compiled policy; next to it is formats.bin, the automata of its formats. A wrong policy stops the build with line
# and reason.
POLICY := $(BUILD)/policy/policy.bin

# The test builds' store: valid models, and files that must be refused. `llmtool pack` would refuse those, so tar makes
# this one. They are signed with a key that `make` creates, which the test builds' policy trusts; one has no signature,
# one is signed with another key, and one was altered after signing.
TEST_MODELS := default small chat truncated corrupt large
# Training data: a valid file, and one whose second line is broken.
TEST_DATA := tests/data/feelings.jsonl tests/data/broken.jsonl
TEST_STORE := $(BUILD)/store-test/store.tar
TEST_POLICY := $(BUILD)/policy-test/policy.bin
# Like the test builds' policy, with a deadline short enough to detect a hang soon, and long enough for an emulated
# request on a busy machine.
STORM_POLICY := $(BUILD)/policy-storm/policy.bin
REDTEAM_POLICY := $(BUILD)/policy-redteam/policy.bin
# For the soak: the main description and the storm's policy, with two more clients.
SOAK_OUT := $(BUILD)/soak
SOAK_POLICY := $(SOAK_OUT)/policy.bin
REDTEAM_CLIENTS := tests/redteam/clients
REDTEAM_CLIENTS_POLICY := $(BUILD)/policy-redteam-clients/policy.bin
# The red team's system with a disk and a hostile files.
REDTEAM_FILES := systems/disk/system.xml
REDTEAM_FILES_POLICY := $(BUILD)/policy-redteam-files/policy.bin
# And with hostile workers.
REDTEAM_CORES := systems/cores/system.xml
REDTEAM_CORES_POLICY := $(BUILD)/policy-redteam-cores/policy.bin
KEYS := $(BUILD)/keys
# The secret key of the device that runs what is built here; it signs the adapters made on the device. It is created
# once per checkout. The compiled policies and images contain it, so anyone who can read one can sign as this device.
DEVICE_KEY := $(KEYS)/device.key.pem
COMPILE_POLICY = $(BIN)/llmtool policy --device-key $(DEVICE_KEY)

# EXAMPLE=triage: a system of examples/, with its own description, policies, files and programs instead of the main
# ones. VARIANT selects one of the programs that an example has for its component. Each example's build.mk lists its
# variants.
EXAMPLE ?=
VARIANT ?= rust
EXAMPLE_DIR := examples/$(EXAMPLE)
EXAMPLE_OUT := $(BUILD)/$(EXAMPLE_DIR)-$(VARIANT)
EXAMPLE_POLICY := $(EXAMPLE_OUT)/policy.bin
EXAMPLES := $(patsubst examples/%/build.mk,%,$(wildcard examples/*/build.mk))
$(if $(EXAMPLE),$(if $(filter $(EXAMPLE),$(EXAMPLES)),,$(error no example '$(EXAMPLE)': there is $(EXAMPLES))))

# SYSTEM=disk, partitions or cores: a system of systems/, with its own description and isolation claims; the rest is the
# main one's. One with a plan.toml is the main one in time partitions. cores has workers on other cores, WORKERS=1, 2 or 3
# of them, all three unless said. The others have a disk, which is the image DISK, and `llmtool disk` makes it if it is not
# there.
SYSTEM ?=
SYSTEMS := $(patsubst systems/%/system.xml,%,$(wildcard systems/*/system.xml))
$(if $(SYSTEM),$(if $(filter $(SYSTEM),$(SYSTEMS)),,$(error no system '$(SYSTEM)': there is $(SYSTEMS))))
PARTITIONED := $(if $(SYSTEM),$(wildcard systems/$(SYSTEM)/plan.toml))
CORES := $(filter cores,$(SYSTEM))
WITH_DISK := $(if $(SYSTEM),$(if $(PARTITIONED)$(CORES),,$(SYSTEM)))
WORKERS ?=
$(if $(filter-out 1 2 3,$(WORKERS)),$(error WORKERS='$(WORKERS)': systems/cores has 1$(comma) 2 or 3 workers))
$(if $(WORKERS),$(if $(CORES),,$(error WORKERS=$(WORKERS) needs SYSTEM=cores: no other system has workers)))
SYSTEM_OUT := $(BUILD)/systems/$(SYSTEM)
SYSTEM_POLICY := $(SYSTEM_OUT)/policy.bin
DISK ?= $(BUILD)/disk.img
DISK_SIZE ?= 64MiB

# The description of the system. LARGE=1 uses a larger arena and store, and a synthetic model of 100 M parameters: a
# larger model only needs larger regions. LARGE=bench uses the model of 15.7 M parameters for speed measurements.
LARGE ?=
LARGE_DIR := $(BUILD)/large-$(LARGE)
DESCRIPTION := $(if $(SYSTEM),$(if $(WORKERS),$(SYSTEM_OUT)/workers-$(WORKERS).xml,systems/$(SYSTEM)/system.xml),$(if $(MODEL),$(MODEL_SYSTEM),$(if $(EXAMPLE),$(EXAMPLE_DIR)/system.xml,$(if $(LARGE),$(LARGE_DIR)/system.xml,$(if $(filter clients,$(REDTEAM)),$(REDTEAM_CLIENTS)/system.xml,system.xml)))))
LARGE_STORE := $(LARGE_DIR)/store.tar

# seL4: the SDK, its configuration (release, debug or benchmark), and whether test builds misbehave.
MICROKIT_SDK ?= $(firstword $(wildcard /opt/microkit-sdk*))
SDK := $(abspath $(MICROKIT_SDK))
CONFIG ?= $(if $(CORES),smp-release,release)
$(if $(CORES),$(if $(filter smp-%,$(CONFIG)),,$(error SYSTEM=cores needs a kernel for several cores: CONFIG=smp-release, not $(CONFIG))))
INJECT ?=
# A build whose inference measures itself if a prompt says so.
MEASURE ?=
# The red team's image and policy: a hostile inference, a hostile inference and shell, a hostile client beside honest ones,
# or, with SYSTEM=disk, a hostile files.
REDTEAM ?=
# INJECT=1: with the test builds' store and policy; INJECT=shipped: with the shipped ones.
SEL4_OUT := $(CURDIR)/$(BUILD)/$(BOARD)/sel4-$(CONFIG)$(if $(INJECT),-inject-$(INJECT))$(if $(MEASURE),-measure)$(if $(REDTEAM),-redteam-$(REDTEAM))$(if $(MODEL),-model)$(if $(LARGE),-large-$(LARGE))$(if $(EXAMPLE),-$(EXAMPLE)-$(VARIANT))$(if $(SYSTEM),-$(SYSTEM)$(WORKERS))
# Targets of the programs: without floating point, and with it for inference.
TARGET_aarch64 := aarch64-unknown-none-softfloat
FLOAT_TARGET_aarch64 := aarch64-unknown-none
TARGET_riscv64 := riscv64imac-unknown-none-elf
FLOAT_TARGET_riscv64 := riscv64gc-unknown-none-elf
SEL4_TRIPLE := $(TARGET_$(ARCH))
SEL4_FLOAT_TRIPLE := $(FLOAT_TARGET_$(ARCH))
SEL4_TARGET := $(CURDIR)/$(BUILD)/$(BOARD)/sel4-target-$(CONFIG)
# The description with the board's addresses and interrupts, which is the Microkit tool's input.
RESOLVED := $(SEL4_OUT)/system.xml
IMAGE := $(SEL4_OUT)/loader.img
TESTED := $(filter-out shipped,$(INJECT))
RUN_STORE = $(if $(MODEL),$(MODEL_OUT)/store.tar,$(if $(LARGE),$(LARGE_STORE),$(if $(TESTED),$(TEST_STORE),$(STORE))))
RUN_POLICY = $(if $(SYSTEM),$(if $(REDTEAM),$(if $(WITH_DISK),$(REDTEAM_FILES_POLICY),$(REDTEAM_POLICY)),$(if $(TESTED),$(SYSTEM_TEST_POLICY),$(SYSTEM_POLICY))),$(if $(MODEL),$(MODEL_OUT)/policy.bin,$(if $(EXAMPLE),$(EXAMPLE_POLICY),$(if $(REDTEAM),$(if $(filter clients,$(REDTEAM)),$(REDTEAM_CLIENTS_POLICY),$(REDTEAM_POLICY)),$(if $(LARGE)$(TESTED)$(MEASURE),$(TEST_POLICY),$(POLICY))))))
# Where the files that fill regions are. Those of an example are next to its policy.
FILES_PATH = $(dir $(RUN_STORE)) $(dir $(RUN_POLICY))
# The claims that must hold for the description.
ISOLATION_POLICY := $(if $(SYSTEM),$(if $(PARTITIONED)$(CORES),tools/isolation/policy.toml )systems/$(SYSTEM)/isolation.toml,$(if $(EXAMPLE),$(EXAMPLE_DIR)/isolation.toml,$(if $(filter clients,$(REDTEAM)),$(REDTEAM_CLIENTS)/isolation.toml,tools/isolation/policy.toml)))

SIM = $(BIN)/sel4-llm-sim $(DESCRIPTION) $(if $(WITH_DISK),--disk $(DISK)) --search-path $(FILES_PATH) $(addprefix --program=,$(EXAMPLE_PROGRAMS))

ifneq ($(EXAMPLE),)
include $(EXAMPLE_DIR)/build.mk
endif

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

## ---- Run ----------------------------------------------------------------------------------------

.PHONY: run
ifneq ($(wildcard $(SDK)/bin/microkit),)
run: ## run the system, or MODEL=FILE of your own: on seL4 in QEMU where a Microkit SDK is found, else the simulation
	@echo 'running on seL4 in QEMU: Microkit SDK found in $(SDK)' >&2
	@$(MAKE) --no-print-directory qemu
else
run:
	@echo 'running the simulation: no Microkit SDK in MICROKIT_SDK or /opt/microkit-sdk*' >&2
	@$(MAKE) --no-print-directory sim
endif

.PHONY: sim
sim: description sim-build $(if $(WITH_DISK),$(DISK)) ## run the simulation: a process per protection domain of system.xml
	@$(SIM)

.PHONY: sim-build
sim-build: store policy $(if $(EXAMPLE),example-programs-sim)
	@$(CARGO) build $(QUIET) --profile $(HOST_PROFILE) -p sel4-llm-sim >&2

.PHONY: store
store: $(RUN_STORE) ## pack the models and their signatures into the store archive

.PHONY: policy
policy: $(RUN_POLICY) $(EXAMPLE_FILES) ## check policy.toml and compile it

# Always run, because a model, the context or a template may have changed.
.PHONY: own
own: llmtool
	@$(BIN)/llmtool system $(MODEL) -o $(MODEL_OUT) --memory $(MEMORY) $(CONTEXT:%=--context %) $(SESSIONS:%=--sessions %) >&2

$(MODEL_SYSTEM) $(MODEL_OUT)/store.tar $(MODEL_OUT)/policy.bin: own ;

# Always run, so that its warnings are not forgotten.
$(POLICY): policy.toml system.xml llmtool | $(DEVICE_KEY)
	@mkdir -p $(@D)
	@$(COMPILE_POLICY) $< --system system.xml -o $@ --formats $(@D)/formats.bin >&2

$(EXAMPLE_POLICY): $(EXAMPLE_DIR)/policy.toml $(EXAMPLE_DIR)/system.xml llmtool | $(DEVICE_KEY)
	@mkdir -p $(@D)
	@$(COMPILE_POLICY) $< --system $(EXAMPLE_DIR)/system.xml -o $@ --formats $(@D)/formats.bin >&2

$(SYSTEM_POLICY): policy.toml systems/$(SYSTEM)/system.xml llmtool | $(DEVICE_KEY)
	@mkdir -p $(@D)
	@$(COMPILE_POLICY) $< --system systems/$(SYSTEM)/system.xml -o $@ --formats $(@D)/formats.bin >&2

# The system with fewer workers: the last ones are left out.
$(SYSTEM_OUT)/workers-%.xml: systems/cores/system.xml systems/cores/with-workers
	@mkdir -p $(@D)
	@systems/cores/with-workers $* $< >$@

# For its tests with a hostile files: the system goes on without a log that it has lost.
GO_ON_POLICY := $(SYSTEM_OUT)/go-on/policy.bin
$(GO_ON_POLICY): policy.toml systems/$(SYSTEM)/system.xml llmtool | $(DEVICE_KEY)
	@mkdir -p $(@D)
	@sed -E 's/^# \[log\]/[log]/; s/^# on-failure = "refuse"/on-failure = "go-on"/' policy.toml >$(@D)/policy.toml
	@$(COMPILE_POLICY) $(@D)/policy.toml --system systems/$(SYSTEM)/system.xml -o $@ --formats $(@D)/formats.bin >&2

# For its tests: the models are signed by a key of make's own, and audit's deadlines are as in other tests.
SYSTEM_TEST_POLICY := $(SYSTEM_OUT)/test/policy.bin
$(SYSTEM_TEST_POLICY): tests/policy.toml systems/$(SYSTEM)/system.xml $(KEYS)/test.key.pem llmtool | $(DEVICE_KEY)
	@mkdir -p $(@D)
	@$(COMPILE_POLICY) $< --system systems/$(SYSTEM)/system.xml -o $@ --formats $(@D)/formats.bin >&2

# Once: what is on it is the owner's. It begins with the small model, and has the audit log.
$(BUILD)/disk.img: | llmtool
	@mkdir -p $(@D)
	@$(BIN)/llmtool disk create $@ --size $(DISK_SIZE) >&2
	@$(BIN)/llmtool disk add $@ tiny=models/tiny-f32.gguf >&2

$(TEST_POLICY): tests/policy.toml system.xml $(KEYS)/test.key.pem llmtool | $(DEVICE_KEY)
	@mkdir -p $(@D)
	@$(COMPILE_POLICY) $< --system system.xml -o $@ --formats $(@D)/formats.bin >&2

$(STORM_POLICY): tests/policy.toml system.xml $(KEYS)/test.key.pem llmtool | $(DEVICE_KEY)
	@mkdir -p $(@D)
	@sed -E 's/^deadline = .*/deadline = "4s"/; s|\.\./build/|../|' $< >$(@D)/policy.toml
	@$(COMPILE_POLICY) $(@D)/policy.toml --system system.xml -o $@ --formats $(@D)/formats.bin >&2

$(SOAK_POLICY): tests/policy.toml tests/clients/soak/policy.toml tests/clients/add-clients system.xml $(KEYS)/test.key.pem llmtool | $(DEVICE_KEY)
	@mkdir -p $(@D)
	@tests/clients/add-clients system.xml first second >$(@D)/system.xml
	@sed -E 's/^deadline = .*/deadline = "4s"/; s|\.\./build/|../|' $< tests/clients/soak/policy.toml >$(@D)/policy.toml
	@$(COMPILE_POLICY) $(@D)/policy.toml --system $(@D)/system.xml -o $@ --formats $(@D)/formats.bin >&2

$(REDTEAM_POLICY): tests/redteam/policy.toml system.xml llmtool | $(DEVICE_KEY)
	@mkdir -p $(@D)
	@$(COMPILE_POLICY) $< --system system.xml -o $@ --formats $(@D)/formats.bin >&2

$(REDTEAM_CLIENTS_POLICY): $(REDTEAM_CLIENTS)/policy.toml $(REDTEAM_CLIENTS)/system.xml llmtool | $(DEVICE_KEY)
	@mkdir -p $(@D)
	@$(COMPILE_POLICY) $< --system $(REDTEAM_CLIENTS)/system.xml -o $@ --formats $(@D)/formats.bin >&2

$(REDTEAM_FILES_POLICY): tests/redteam/policy.toml $(REDTEAM_FILES) llmtool | $(DEVICE_KEY)
	@mkdir -p $(@D)
	@$(COMPILE_POLICY) $< --system $(REDTEAM_FILES) -o $@ --formats $(@D)/formats.bin >&2

$(REDTEAM_CORES_POLICY): tests/redteam/policy.toml $(REDTEAM_CORES) llmtool | $(DEVICE_KEY)
	@mkdir -p $(@D)
	@$(COMPILE_POLICY) $< --system $(REDTEAM_CORES) -o $@ --formats $(@D)/formats.bin >&2

$(KEYS)/%.key.pem: | llmtool
	@mkdir -p $(@D)
	@rm -f $(KEYS)/$*.pub.pem
	@$(BIN)/llmtool keygen $(KEYS)/$* >/dev/null

# The Microkit tool requires a prefill of exactly the region's size; tar ignores zeros at the end.
STORE_BYTES := $(shell printf '%d' $$(sed -nE 's/.*name="model_store" size="([^"]*)".*/\1/p' system.xml))

MODEL_FILES := $(foreach model,$(MODELS),$(lastword $(subst =, ,$(model))))

# A different list of models makes another store.
MODELS_LIST := $(dir $(STORE))models
ifneq ($(shell cat $(MODELS_LIST) 2>/dev/null),$(strip $(MODELS)))
.PHONY: $(MODELS_LIST)
endif
$(MODELS_LIST):
	@mkdir -p $(@D)
	@echo '$(strip $(MODELS))' >$@

$(STORE): Makefile system.xml $(STORE_POLICY) $(MODELS_LIST) $(MODEL_FILES) $(wildcard $(MODEL_FILES:=.sig)) | llmtool $(DEVICE_KEY)
	@mkdir -p $(@D)
	@$(BIN)/llmtool pack $(MODELS) -o $@ --policy $(STORE_POLICY) --device-key $(DEVICE_KEY) --store-size $(STORE_BYTES) >&2
	@python3 -c 'import os, sys; os.truncate(sys.argv[1], int(sys.argv[2]))' $@ $(STORE_BYTES)

$(TEST_STORE): Makefile system.xml $(TEST_DATA) models/tiny-f32.gguf tests/src/bin/test-models.rs tools/llmtool/tests/templates/chatml.jinja llm-core/src/testing.rs $(KEYS)/test.key.pem $(KEYS)/other.key.pem | llmtool
	@mkdir -p $(@D)
	@$(CARGO) run $(QUIET) --profile $(HOST_PROFILE) -p sel4-llm-tests --bin test-models -- $(@D) >&2
	@cp models/tiny-f32.gguf $(@D)/default.gguf
	@mkdir -p $(@D)/data && cp $(TEST_DATA) $(@D)/data
	@$(BIN)/llmtool sign --force --key $(KEYS)/test.key.pem $(TEST_MODELS:%=$(@D)/%.gguf) $(TEST_DATA:tests/%=$(@D)/%) >/dev/null
	@$(BIN)/llmtool sign --key $(KEYS)/other.key.pem $(@D)/wrong-key.gguf >/dev/null
	@cp $(@D)/small.gguf.sig $(@D)/altered.gguf.sig
	@tar --format=ustar -cf $@ -C $(@D) $(foreach model,$(TEST_MODELS) wrong-key altered,$(model).gguf $(model).gguf.sig) unsigned.gguf \
		$(foreach data,$(TEST_DATA:tests/%=%),$(data) $(data).sig)
	@python3 -c 'import os, sys; os.truncate(sys.argv[1], int(sys.argv[2]))' $@ $(STORE_BYTES)

$(LARGE_STORE): Makefile system.xml tests/src/bin/test-models.rs llm-core/src/testing.rs $(KEYS)/test.key.pem | llmtool
	@mkdir -p $(@D)
	@sed -E '/name="arena"/s/0x800000/0x9000000/; /name="model_store"/s/0x800000/0x4000000/' system.xml >$(@D)/system.xml
	@$(CARGO) run $(QUIET) --profile $(HOST_PROFILE) -p sel4-llm-tests --bin test-models -- $(if $(filter bench,$(LARGE)),--bench,--large) $(@D) >&2
	@$(if $(filter bench,$(LARGE)),mv $(@D)/bench-q4_0.gguf $(@D)/default.gguf && rm $(@D)/bench-q8_0.gguf)
	@$(BIN)/llmtool sign --key $(KEYS)/test.key.pem $(@D)/default.gguf >/dev/null
	@tar --format=ustar -cf $@ -C $(@D) default.gguf default.gguf.sig
	@python3 -c 'import os, sys; os.truncate(sys.argv[1], 0x4000000)' $@

.PHONY: tools
tools: llmtool ## build the host tool, and say where it is
	@echo '$(BIN)/llmtool'

.PHONY: llmtool
llmtool:
	@test -x $(BIN)/llmtool || echo 'building the tools: the first time this takes some minutes (V=1 says what is built)' >&2
	@$(CARGO) build $(QUIET) --profile $(HOST_PROFILE) -p llmtool >&2

.PHONY: docker-run
docker-run: ## run in the Docker image
	@$(MAKE) -C docker run

## ---- seL4 ---------------------------------------------------------------------------------------

# `core` for the domains' targets: installed if rustup has it, otherwise built from source, which a stable compiler does
# only when told to. Overflow checks are off, as in the installed one.
INSTALLED := $(shell rustup target list --installed 2>/dev/null)
BUILD_STD := $(if $(filter $(SEL4_FLOAT_TRIPLE),$(INSTALLED)),,-Zbuild-std=core,compiler_builtins -Zbuild-std-features=compiler-builtins-mem \
	$(foreach package,core compiler_builtins,--config profile.release.package.$(package).overflow-checks=false))
SEL4_CARGO = cd pds/sel4 && RUSTC_BOOTSTRAP=1 SEL4_LLM_BOARD=$(BOARD) \
	SEL4_INCLUDE_DIRS=$(SDK)/board/$(BOARD)/$(CONFIG)/include \
	$(CARGO) build $(QUIET) --locked --release --target-dir $(SEL4_TARGET) $(BUILD_STD)

.PHONY: check-sdk
check-sdk:
	@test -x '$(SDK)/bin/microkit' || { echo 'no Microkit SDK in MICROKIT_SDK or /opt/microkit-sdk*: get release 2.3.0 of seL4/microkit, or use docker/' >&2; exit 1; }
	@test -d '$(SDK)/board/$(BOARD)' || { echo "the SDK in $(SDK) has no board $(BOARD): it has $$(ls '$(SDK)/board' | tr '\n' ' '); docs/porting.md says how one is built that has it" >&2; exit 1; }
	@test -d '$(SDK)/board/$(BOARD)/$(CONFIG)' || { echo "the SDK in $(SDK) has no configuration $(CONFIG) for $(BOARD): it has $$(ls '$(SDK)/board/$(BOARD)' | tr '\n' ' ')" >&2; exit 1; }
	@test -z '$(BUILD_STD)' || test -d "$$(rustc --print sysroot)/lib/rustlib/src/rust/library/core" || { echo 'no core for the targets: rustup target add $(SEL4_TRIPLE) $(SEL4_FLOAT_TRIPLE), or rustup component add rust-src' >&2; exit 1; }

.PHONY: check-emulator
check-emulator:
	@command -v $(firstword $(EMULATOR)) >/dev/null || { echo 'no $(firstword $(EMULATOR)): install $(if $(filter riscv64,$(ARCH)),qemu-system-misc,qemu-system-arm)' >&2; exit 1; }

SEL4_INFERENCE := $(if $(filter-out clients files,$(REDTEAM)),hostile-inference,inference)
SEL4_SHELL := $(if $(filter shell,$(REDTEAM)),hostile-shell,shell)
SEL4_FILES := $(if $(filter files,$(REDTEAM)),gremlin,files)

# What the programs of audit and inference have for a system, and how their files are called there.
OF_SYSTEM := $(if $(WITH_DISK),--features disk,$(if $(CORES),--features cores))
SUFFIX := $(if $(WITH_DISK),-disk,$(if $(CORES),-cores))

# The Microkit tool accepts variables that the programs do not expect, so the checker runs first: on the description
# before anything is built, and on the programs' files before they become an image. The red team also attacks unsafe
# descriptions.
# Its claims are about all of the workers.
FEWER := $(filter 1 2,$(WORKERS))
NO_CLAIMS := $(if $(SYSTEM),$(if $(wildcard systems/$(SYSTEM)/isolation.toml),,$(SYSTEM)))
UNCHECKED := $(FEWER)$(NO_CLAIMS)$(and $(REDTEAM),$(filter-out system.xml $(REDTEAM_CLIENTS)/system.xml $(if $(SYSTEM),$(DESCRIPTION)),$(DESCRIPTION)))
CHECK = $(if $(UNCHECKED),,$(BIN)/isolation check $(DESCRIPTION) --board $(BOARD) $(addprefix --policy ,$(ISOLATION_POLICY)) --silent)

RESOLVE = $(BIN)/sysdesc $(1) $(BOARD) $(2)
# What the board's emulator needs in addition to an image.
UIMAGE := $(call board_line,uimage)
WRAP = $(if $(UIMAGE),tools/uimage/uimage $(1) $(UIMAGE),:)

.PHONY: description
description: isolation-tool $(if $(MODEL),own) $(if $(LARGE),$(LARGE_STORE)) $(if $(WORKERS),$(DESCRIPTION)) ## check the system description, as every build does
	@$(if $(CHECK),$(CHECK) >&2)

.PHONY: image
image: check-sdk description store policy $(if $(EXAMPLE),example-programs-sel4) $(if $(filter clients,$(REDTEAM)),mallory-sel4) ## build the seL4 image (CONFIG=release|debug|benchmark)
	@mkdir -p $(SEL4_OUT)
	@$(call RESOLVE,$(DESCRIPTION),$(RESOLVED))
	@$(SEL4_CARGO) -p $(SEL4_SHELL) --target $(SEL4_TRIPLE) >&2
	@$(SEL4_CARGO) -p audit $(OF_SYSTEM) --target $(SEL4_TRIPLE) >&2
	@$(if $(WITH_DISK),$(SEL4_CARGO) -p $(SEL4_FILES) --target $(SEL4_TRIPLE) >&2)
	@$(if $(WITH_DISK),$(SEL4_DISK_CARGO) -p disk --target $(SEL4_TRIPLE) >&2)
	@$(if $(CORES),$(SEL4_CARGO) -p worker $(if $(INJECT),--features inject) --target $(SEL4_FLOAT_TRIPLE) >&2)
	@$(SEL4_CARGO) -p $(SEL4_INFERENCE) $(OF_SYSTEM) $(if $(INJECT),--features inject) $(if $(MEASURE),--features measure) --target $(SEL4_FLOAT_TRIPLE) >&2
	@cd pds/sel4/host-tools && $(CARGO) build $(QUIET) --locked --release -p sel4-reset-cli --target-dir $(SEL4_TARGET)/host >&2
	@cp $(SEL4_TARGET)/$(SEL4_TRIPLE)/release/$(SEL4_SHELL) $(SEL4_OUT)/shell.elf
	@cp $(SEL4_TARGET)/$(SEL4_TRIPLE)/release/audit $(SEL4_OUT)/audit$(SUFFIX).elf
	@$(if $(WITH_DISK),cd $(SEL4_TARGET)/$(SEL4_TRIPLE)/release && cp $(SEL4_FILES) $(SEL4_OUT)/files.elf && cp disk $(SEL4_OUT)/disk.elf)
	@$(SEL4_TARGET)/host/release/sel4-reset-cli \
		$(SEL4_TARGET)/$(SEL4_FLOAT_TRIPLE)/release/$(SEL4_INFERENCE) -o $(SEL4_OUT)/inference$(SUFFIX).elf
	@$(if $(CORES),$(SEL4_TARGET)/host/release/sel4-reset-cli \
		$(SEL4_TARGET)/$(SEL4_FLOAT_TRIPLE)/release/worker -o $(SEL4_OUT)/worker.elf)
	@$(if $(CHECK),$(CHECK) --programs $(SEL4_OUT) >&2)
	@$(SDK)/bin/microkit $(RESOLVED) --search-path $(SEL4_OUT) $(FILES_PATH) \
		--board $(BOARD) --config $(CONFIG) -r $(SEL4_OUT)/report.txt -o $(IMAGE) >&2
	@$(call WRAP,$(IMAGE))

EMULATOR := $(call board_line,emulator) $(if $(filter smp-%,$(CONFIG)),-smp 4) -m size=$(MEMORY) -display none -monitor none \
	-rtc clock=vm -chardev stdio,id=console,signal=off -serial chardev:console
QEMU := tools/qemu-console/qemu-console $(EMULATOR)
# What the board's emulator has for a disk.
DISK_OPTIONS = $(subst {disk},$(DISK),$(call board_line,disk))
# An image in the form that the board's emulator boots.
BOOT_FILE = $(subst {image},$(1),$(call board_line,boot))
BOOT = $(QEMU) $(BOOT_FILE)

.PHONY: qemu
qemu: check-emulator image $(if $(WITH_DISK),$(DISK)) ## run on seL4 in QEMU
	@$(QEMU) $(if $(WITH_DISK),$(DISK_OPTIONS)) $(call BOOT_FILE,$(IMAGE))

# `cargo test` for the domains' target: a runner makes an image of only the domain `tests` and boots it. Its cases need
# a heap. MISBEHAVE=wrong|panic|fault|silence makes a build that must fail, to check that the runner notices.
MISBEHAVE ?=
SILENCE ?= 60

TESTS_OUT := $(CURDIR)/$(BUILD)/$(BOARD)/sel4-tests-$(CONFIG)

.PHONY: test-sel4
ifneq ($(wildcard $(SDK)/bin/microkit),)
test-sel4: check-sdk check-emulator isolation-tool ## the golden vectors inside a protection domain on seL4 in QEMU
	@mkdir -p $(TESTS_OUT)
	@$(call RESOLVE,tests/sel4/system.xml,$(TESTS_OUT)/system.xml)
	@export MICROKIT_SDK='$(SDK)' BOARD=$(BOARD) CONFIG=$(CONFIG) SILENCE=$(SILENCE) \
		EMULATOR='$(EMULATOR) $(call BOOT_FILE,$(TESTS_OUT)/loader.img)' OUT=$(TESTS_OUT) UIMAGE=$(UIMAGE) \
		CARGO_TARGET_$(subst -,_,$(shell echo $(SEL4_FLOAT_TRIPLE) | tr a-z A-Z))_RUNNER=$(CURDIR)/tools/test-sel4/run-elf; \
		$(subst core$(comma),core$(comma)alloc$(comma),$(SEL4_CARGO:build=test)) -p tests \
			$(if $(MISBEHAVE),--features $(MISBEHAVE)) --target $(SEL4_FLOAT_TRIPLE)
else
test-sel4:
	@echo '*** SKIPPED: the golden vectors on seL4: no Microkit SDK in MICROKIT_SDK or /opt/microkit-sdk* ***'
endif

# How each misbehaviour must be reported.
REPORT_wrong := failed: misbehaviour
REPORT_panic := FAILED: panicked at
REPORT_fault := silence for 15 s during misbehaviour
REPORT_silence := silence for 15 s during misbehaviour

.PHONY: test-sel4-fails
test-sel4-fails: $(foreach misdeed,wrong panic fault silence,test-sel4-fails-$(misdeed)) ## see that test-sel4 notices a wrong result, a panic, a fault and a silence

test-sel4-fails-%: check-sdk
	@mkdir -p $(BUILD)
	@! $(MAKE) --no-print-directory test-sel4 MISBEHAVE=$* SILENCE=15 >$(BUILD)/test-sel4-$*.txt 2>&1
	@grep '$(REPORT_$*)' $(BUILD)/test-sel4-$*.txt

# Disk and files with a real device; a probe takes the place of audit. tests/disk/run judges its output.
DISK_OUT := $(CURDIR)/$(BUILD)/sel4-disk-$(CONFIG)
# Only the driver has a heap. Built with alloc, the other domains would need one, too.
SEL4_DISK_CARGO = $(subst core$(comma),core$(comma)alloc$(comma),$(SEL4_CARGO))

.PHONY: test-disk-sel4
ifeq ($(wildcard $(SDK)/bin/microkit),)
test-disk-sel4:
	@echo '*** SKIPPED: disk and files on seL4: no Microkit SDK in MICROKIT_SDK or /opt/microkit-sdk* ***'
else ifneq ($(BOARD),qemu_virt_aarch64)
test-disk-sel4:
	@echo '*** SKIPPED: disk and files on $(BOARD): tests/disk/system.xml describes the disk of qemu_virt_aarch64 ***'
else
test-disk-sel4: check-sdk llmtool ## the domains disk and files on seL4 in QEMU: a log that outlives the power
	@mkdir -p $(DISK_OUT)
	@$(SEL4_CARGO) -p files -p probe --target $(SEL4_TRIPLE) >&2
	@$(SEL4_DISK_CARGO) -p disk --target $(SEL4_TRIPLE) >&2
	@cd $(SEL4_TARGET)/$(SEL4_TRIPLE)/release && for name in disk files probe; do cp $$name $(DISK_OUT)/$$name.elf; done
	@$(SDK)/bin/microkit tests/disk/system.xml --search-path $(DISK_OUT) --board $(BOARD) --config $(CONFIG) \
		-r $(DISK_OUT)/report.txt -o $(DISK_OUT)/loader.img >&2
	@tests/disk/run $(BIN)/llmtool $(DISK_OUT)/loader.img models/tiny-f32.gguf $(DISK_OUT) $(EMULATOR)
endif

.PHONY: lint-sel4
lint-sel4: check-sdk ## formatting and clippy of the Microkit binaries
	@cd pds/sel4 && $(CARGO) fmt --all --check
	@$(SEL4_CARGO:build=clippy) -p shell -p audit -p files -p probe -p triage -p mute -p hostile-shell -p mallory -p gremlin --target $(SEL4_TRIPLE) -- -D warnings
	@$(SEL4_DISK_CARGO:build=clippy) -p disk --target $(SEL4_TRIPLE) -- -D warnings
	@$(SEL4_CARGO:build=clippy) -p audit --features disk --target $(SEL4_TRIPLE) -- -D warnings
	@$(SEL4_CARGO:build=clippy) -p inference --features inject --target $(SEL4_FLOAT_TRIPLE) -- -D warnings
	@$(SEL4_CARGO:build=clippy) -p inference --features disk --target $(SEL4_FLOAT_TRIPLE) -- -D warnings
	@$(SEL4_CARGO:build=clippy) -p hostile-inference --target $(SEL4_FLOAT_TRIPLE) -- -D warnings
	@$(subst core$(comma),core$(comma)alloc$(comma),$(SEL4_CARGO:build=clippy)) -p tests --tests --target $(SEL4_FLOAT_TRIPLE) -- -D warnings

# A panic of audit ends the system.
.PHONY: panic-check
panic-check: image ## no panic that a message could reach in the linked audit, but those that pds/audit/panics.toml argues
	@$(CARGO) run $(QUIET) -p panic-check -- $(SEL4_OUT)/audit$(SUFFIX).elf pds/audit/panics.toml

.PHONY: e2e-qemu
e2e-qemu: llmtool image ## the end-to-end suite on seL4 in QEMU
	@$(MAKE) --no-print-directory image INJECT=1
	@$(MAKE) --no-print-directory image INJECT=shipped
	SEL4_LLM_RUN='$(call BOOT,$(IMAGE))' \
	SEL4_LLM_RUN_INJECT='$(call BOOT,$(SEL4_OUT)-inject-1/loader.img)' \
	SEL4_LLM_RUN_INJECT_SHIPPED='$(call BOOT,$(SEL4_OUT)-inject-shipped/loader.img)' \
	SEL4_LLM_LLMTOOL='$(BIN)/llmtool' \
		$(CARGO) test $(QUIET) -p sel4-llm-tests --test e2e --test monitor --test replay --test adapters --test formats --test console -- --test-threads 2
	@$(if $(call board_line,disk),$(MAKE) --no-print-directory e2e-disk-qemu SYSTEM=disk,echo '*** SKIPPED: systems/disk: $(BOARD) has no disk ***')
	@$(MAKE) --no-print-directory example-test-sel4 EXAMPLE=triage
	@if command -v $(SEL4_CC) >/dev/null; then $(MAKE) --no-print-directory example-test-sel4 EXAMPLE=triage VARIANT=c; \
		else echo '*** SKIPPED: the example in C on seL4: no C compiler for its target, SEL4_CC=$(SEL4_CC) ***'; fi
	@$(MAKE) --no-print-directory storm STORM_FAULTS=10

# How the image of BOARD is booted, for those who boot several.
.PHONY: boot-command
boot-command:
	@echo '$(call BOOT,$(IMAGE))'

.PHONY: same-bits
same-bits: ## the golden vectors on each board of LANE, and the same texts and log there as in the simulation
	@set -e; for board in $(SEL4_BOARDS); do \
		mkdir -p $(BUILD)/$$board; \
		$(MAKE) --no-print-directory test-sel4 BOARD=$$board >$(BUILD)/$$board/golden.txt || { tail -5 $(BUILD)/$$board/golden.txt; exit 1; }; \
		echo "golden vectors on $$board: $$(sed -nE 's/^([0-9]+ passed, [0-9]+ failed).*/\1/p' $(BUILD)/$$board/golden.txt)"; \
	done
	@$(MAKE) --no-print-directory same-texts

.PHONY: same-texts
same-texts: sim-build description llmtool
	@set -e; for board in $(SEL4_BOARDS); do $(MAKE) --no-print-directory image BOARD=$$board; done
	@set -e; export SEL4_LLM_LLMTOOL='$(BIN)/llmtool' SEL4_LLM_SAME='simulation $(SEL4_BOARDS)' SEL4_LLM_SAME_simulation='$(SIM)'; \
	for board in $(SEL4_BOARDS); do \
		export "SEL4_LLM_SAME_$$board=$$($(MAKE) --no-print-directory boot-command BOARD=$$board)"; \
	done; \
	$(CARGO) test $(QUIET) -p sel4-llm-tests --test boards -- --nocapture
	@$(MAKE) --no-print-directory lane

## ---- Examples -----------------------------------------------------------------------------------

# The debug output is all there is to see of a component without a console, and a release kernel has none.
EXAMPLE_CONFIG := $(if $(filter command,$(firstword $(origin CONFIG))),$(CONFIG),debug)

.PHONY: example
ifneq ($(wildcard $(SDK)/bin/microkit),)
example: example-named ## run EXAMPLE=triage [VARIANT=c]: on seL4 in QEMU where a Microkit SDK is found, else the simulation
	@echo 'running $(EXAMPLE) on seL4 in QEMU (CONFIG=$(EXAMPLE_CONFIG)): Microkit SDK found in $(SDK)' >&2
	@$(MAKE) --no-print-directory qemu CONFIG=$(EXAMPLE_CONFIG)
else
example: example-named
	@echo 'running $(EXAMPLE) in the simulation: no Microkit SDK in MICROKIT_SDK or /opt/microkit-sdk*' >&2
	@$(MAKE) --no-print-directory example-sim
endif

.PHONY: example-sim
example-sim: example-named description sim-build ## run EXAMPLE=triage [VARIANT=c] in the simulation
	@$(SIM) --debug

.PHONY: example-image
example-image: example-named ## build the seL4 image of EXAMPLE=triage [VARIANT=c]
	@$(MAKE) --no-print-directory image CONFIG=$(EXAMPLE_CONFIG)

.PHONY: example-test
example-test: example-test-sim ## test EXAMPLE=triage [VARIANT=c] end to end, in the simulation and, with an SDK, on seL4
ifneq ($(wildcard $(SDK)/bin/microkit),)
	@$(MAKE) --no-print-directory example-test-sel4
else
	@echo '*** SKIPPED: the example on seL4: no Microkit SDK in MICROKIT_SDK or /opt/microkit-sdk* ***'
endif

EXAMPLE_TEST = SEL4_LLM_LLMTOOL='$(BIN)/llmtool' $(CARGO) test $(QUIET) -p sel4-llm-tests --test $(EXAMPLE) -- --test-threads 1

.PHONY: example-test-sim
example-test-sim: example-named description sim-build llmtool
	@$(BUILD_INJECT)
	SEL4_LLM_EXAMPLE='$(SIM) --debug' \
	SEL4_LLM_EXAMPLE_INJECT='$(SIM:$(BIN)/sel4-llm-sim%=$(BIN)/sel4-llm-sim-inject%) --debug' \
		$(EXAMPLE_TEST)

.PHONY: example-test-sel4
example-test-sel4: example-named llmtool
	@$(MAKE) --no-print-directory image CONFIG=debug
	@$(MAKE) --no-print-directory image CONFIG=debug INJECT=shipped
	SEL4_LLM_EXAMPLE='$(call BOOT,$(CURDIR)/$(BUILD)/$(BOARD)/sel4-debug-$(EXAMPLE)-$(VARIANT)/loader.img)' \
	SEL4_LLM_EXAMPLE_INJECT='$(call BOOT,$(CURDIR)/$(BUILD)/$(BOARD)/sel4-debug-inject-shipped-$(EXAMPLE)-$(VARIANT)/loader.img)' \
		$(EXAMPLE_TEST)

.PHONY: example-named
example-named:
	@$(if $(EXAMPLE),,echo 'which one? make EXAMPLE=NAME with one of: $(EXAMPLES)' >&2; exit 1)

## ---- Clients in C -------------------------------------------------------------------------------

# The header and the library that clients in C are built with: clients/c/README.md.
CLIENT_C := $(BUILD)/client-c
AARCH64_CC ?= aarch64-linux-gnu-gcc
RISCV64_CC ?= riscv64-unknown-elf-gcc
SEL4_CC = $(if $(filter riscv64,$(ARCH)),$(RISCV64_CC),$(AARCH64_CC))
# Without floating point, for domains that may not use it.
SEL4_CFLAGS := -ffreestanding $(if $(filter riscv64,$(ARCH)),-march=rv64imac_zicsr_zifencei -mabi=lp64 -mcmodel=medany,-mgeneral-regs-only -mstrict-align)
# Without `std`, and linked into one object, so that it does not clash with another Rust library.
CLIENT_C_CARGO = $(CARGO) rustc $(QUIET) --locked --release -p sel4-llm-client-c --crate-type staticlib \
	--features standalone --config 'profile.release.lto="fat"'
# Only the names in the header are visible.
CLIENT_C_NAMES = readelf --wide --symbols $(1) | awk '$$5 == "GLOBAL" && $$6 == "DEFAULT" && $$7 != "UND" && $$8 !~ /^sel4_llm_/ \
	{ print "libsel4_llm.a has the name " $$8; wrong = 1 } END { exit wrong }' >&2

.PHONY: client-c
client-c: client-c-host client-c-sel4 ## build the header and the libraries for clients in C, into build/client-c

.PHONY: client-c-sel4
client-c-sel4: client-c-include
	@mkdir -p $(CLIENT_C)/$(SEL4_TRIPLE)
	@RUSTC_BOOTSTRAP=1 $(CLIENT_C_CARGO) --target $(SEL4_TRIPLE) $(BUILD_STD) >&2
	@cp $(TARGET_DIR)/$(SEL4_TRIPLE)/release/libsel4_llm.a $(CLIENT_C)/$(SEL4_TRIPLE)
	@$(call CLIENT_C_NAMES,$(CLIENT_C)/$(SEL4_TRIPLE)/libsel4_llm.a)

.PHONY: client-c-host
client-c-host: client-c-include
	@mkdir -p $(CLIENT_C)/host
	@$(CLIENT_C_CARGO) >&2
	@cp $(TARGET_DIR)/release/libsel4_llm.a $(CLIENT_C)/host
	@$(call CLIENT_C_NAMES,$(CLIENT_C)/host/libsel4_llm.a)

.PHONY: client-c-include
client-c-include:
	@mkdir -p $(CLIENT_C)/include
	@cp clients/c/include/sel4_llm.h $(CLIENT_C)/include

.PHONY: client-c-header
client-c-header: ## regenerate clients/c/include/sel4_llm.h after a change in clients/c/src
	@WRITE_HEADER=1 $(CARGO) test $(QUIET) -p sel4-llm-client-c --test header

# The simulation's counterpart of libmicrokit: sim/c/include, and target/release/libmicrokit_sim.a.
.PHONY: sim-c
sim-c:
	@$(CARGO) rustc $(QUIET) --profile $(HOST_PROFILE) -p sel4-llm-sim-c --crate-type staticlib >&2

## ---- Isolation ----------------------------------------------------------------------------------

# Options of every check: the description, and what must hold for it.
ISOLATION = $(BIN)/isolation check $(DESCRIPTION) --board $(BOARD) $(addprefix --policy ,$(ISOLATION_POLICY))
ISOLATION_OUT := $(BUILD)/$(BOARD)/isolation$(if $(EXAMPLE),-$(EXAMPLE)-$(VARIANT))$(if $(SYSTEM),-$(SYSTEM))
ISOLATION_REPORTS := --markdown $(ISOLATION_OUT)/report.md --json $(ISOLATION_OUT)/report.json --svg $(ISOLATION_OUT)/authority.svg
# What the Microkit tool put into the image, including the bytes that fill frames: 29 for each.
CAPDL := $(SEL4_OUT)/capdl.json

.PHONY: isolation
ifneq ($(wildcard $(SDK)/bin/microkit),)
isolation: isolation-tool capdl ## check the isolation argument: system.xml, and with an SDK the image's capabilities
	@mkdir -p $(ISOLATION_OUT)
	@$(ISOLATION) $(ISOLATION_REPORTS) --config $(CONFIG) --programs $(SEL4_OUT) --capdl $(CAPDL) \
		--kernel $(SDK)/board/$(BOARD)/$(CONFIG)/include/kernel/gen_config.json; \
		status=$$?; rm $(CAPDL); exit $$status
	@echo 'report, JSON and picture: $(ISOLATION_OUT)'
else
isolation: isolation-tool $(if $(LARGE),$(LARGE_STORE))
	@mkdir -p $(ISOLATION_OUT)
	@$(ISOLATION) $(ISOLATION_REPORTS)
	@echo 'report, JSON and picture: $(ISOLATION_OUT)'
	@echo '*** SKIPPED: the capabilities of the image: no Microkit SDK in MICROKIT_SDK or /opt/microkit-sdk* ***'
endif

.PHONY: isolation-tool
isolation-tool:
	@$(CARGO) build $(QUIET) --profile $(HOST_PROFILE) -p isolation -p sysdesc >&2

.PHONY: isolation-description
isolation-description:
	@$(CARGO) run $(QUIET) -p isolation -- check system.xml --quiet
	@$(CARGO) run $(QUIET) -p isolation -- check systems/disk/system.xml --policy systems/disk/isolation.toml --quiet
	@$(CARGO) run $(QUIET) -p isolation -- check systems/partitions/system.xml --policy tools/isolation/policy.toml \
		--policy systems/partitions/isolation.toml --quiet
	@$(CARGO) run $(QUIET) -p isolation -- check systems/cores/system.xml --policy tools/isolation/policy.toml \
		--policy systems/cores/isolation.toml --quiet

.PHONY: isolation-docs
isolation-docs: isolation-tool ## what is generated from system.xml: the picture, Microkit's table, the proofs' instance
	@$(BIN)/isolation docs system.xml --policy tools/isolation/policy.toml

.PHONY: protocol-docs
protocol-docs: ## the tables of messages in docs/protocol.md, from the declarations in protocol/src/wire
	@WRITE_DOCS=1 $(CARGO) test $(QUIET) -p sel4-llm-protocol --lib the_tables_in_the_documentation

.PHONY: proofs
proofs: ## check the proofs for system.xml (Rocq: Debian's package coq)
	@$(MAKE) --no-print-directory -C proofs

.PHONY: capdl
capdl: image
	@$(SDK)/bin/microkit $(RESOLVED) --search-path $(SEL4_OUT) $(FILES_PATH) \
		--board $(BOARD) --config $(CONFIG) -r $(SEL4_OUT)/report.txt -o $(IMAGE) --capdl-json $(CAPDL) >&2

# The capDL inputs of the checker's mutation tests: one of the release image, and one of a system with two clients, the
# second of which runs the shell's program (so nothing is known about its events). Fills are left out, and arena, store,
# adapters and formats have 16 pages, because all pages of a region are alike and thousands of them make the tests slow.
FIXTURES := tools/isolation/tests/fixtures
FIXTURE_OUT := $(BUILD)/isolation-fixture

.PHONY: isolation-fixture
isolation-fixture: isolation-tool image
	@mkdir -p $(FIXTURE_OUT)
	@sed -E 's/(name="(arena|model_store|adapters|formats)" size=)"[^"]*"/\1"0x10000"/' system.xml >$(FIXTURES)/system.xml
	@$(CARGO) run $(QUIET) -p isolation --example two-clients <$(FIXTURES)/system.xml \
		| sed 's/ setvar_vaddr="events" setvar_size="events_size"//' >$(FIXTURE_OUT)/two-clients.xml
	@head -c 65536 $(STORE) >$(FIXTURE_OUT)/store.tar
	@head -c 65536 $(dir $(POLICY))formats.bin >$(FIXTURE_OUT)/formats.bin
	@head -c 4096 /dev/zero >$(FIXTURE_OUT)/events.txt
	@cp $(SEL4_OUT)/shell.elf $(FIXTURE_OUT)/triage.elf
	@set -e; for fixture in $(FIXTURES)/system.xml:capdl $(FIXTURE_OUT)/two-clients.xml:two-clients; do \
		$(call RESOLVE,$${fixture%:*},$(FIXTURE_OUT)/resolved.xml); \
		$(SDK)/bin/microkit $(FIXTURE_OUT)/resolved.xml --search-path $(SEL4_OUT) $(FIXTURE_OUT) $(dir $(POLICY)) \
			--board $(BOARD) --config $(CONFIG) -r $(FIXTURE_OUT)/report.txt -o $(FIXTURE_OUT)/loader.img \
			--capdl-json $(FIXTURE_OUT)/capdl.json >&2; \
		$(BIN)/isolation strip $(FIXTURE_OUT)/capdl.json $(FIXTURES)/$${fixture#*:}.json; \
	done

## ---- Test ---------------------------------------------------------------------------------------

# Lanes of stages that run side by side, since each leaves part of two cores unused; each builds in a folder of its own.
# Then what measures times, alone.
STAGES := "lint doc unit monitor-fuzz" "unit-aarch64 loom test-train proofs" -- "isolation-description e2e-sim"
# What `make test` also runs, on each board of LANE that the SDK has a kernel for and that can be emulated here. LANE=NAME
# leaves the other boards out.
LANE ?= qemu_virt_aarch64
STAGES_SEL4 := lint-sel4 isolation isolation-disk test-sel4 test-disk-sel4 e2e-qemu panic-check panic-check-disk
LANE_UNKNOWN := $(firstword $(filter-out $(BOARDS),$(LANE)))
$(if $(LANE_UNKNOWN),$(error LANE='$(LANE)': no board '$(LANE_UNKNOWN)': there is $(BOARDS)))
SDK_BOARDS := $(if $(wildcard $(SDK)/bin/microkit),$(notdir $(wildcard $(SDK)/board/*)))
# Why a board's lane is not run here; nothing if it is.
lane_skips = $(if $(filter $(1),$(LANE)),$(if $(filter $(1),$(SDK_BOARDS)),$(call lane_emulator,$(1),$(firstword $(call line_of_board,$(1),emulator))),$(if $(SDK_BOARDS),the SDK in $(SDK) has no kernel for it,no Microkit SDK in MICROKIT_SDK or /opt/microkit-sdk*)),LANE leaves it out)
lane_emulator = $(if $(2),$(if $(shell command -v $(2)),,no $(2)),it has no emulator)
SEL4_BOARDS = $(foreach board,$(BOARDS),$(if $(call lane_skips,$(board)),,$(board)))

.PHONY: lane
lane: ## the boards on which `make test` runs its checks on seL4, and why not on the others
	@$(foreach board,$(BOARDS),echo '$(if $(call lane_skips,$(board)),*** SKIPPED: the seL4 lane on $(board): $(call lane_skips,$(board)) ***,the seL4 lane runs on $(board))';)

# The same for systems/disk, on boards that have a disk.
.PHONY: isolation-disk panic-check-disk
isolation-disk panic-check-disk: %-disk:
	@$(if $(call board_line,disk),$(MAKE) --no-print-directory $* SYSTEM=disk,echo '*** SKIPPED: $* of systems/disk: $(BOARD) has no disk ***')

.PHONY: test
test: ## lints, docs, units, ring model, isolation, proofs, end to end on the simulation and, with an SDK, on seL4
	@tools/stages/stages $(BUILD)/stages $(STAGES) $(foreach board,$(SEL4_BOARDS),-- "$(STAGES_SEL4:%=%@$(board))")
	@$(MAKE) --no-print-directory lane

.PHONY: lint
lint: ## formatting and clippy, warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(QUIET) --workspace --all-targets -- -D warnings
	$(CARGO) clippy $(QUIET) -p sel4-llm-tests --test '*' -- -D warnings
	$(CARGO) clippy $(QUIET) -p sel4-llm-sim --no-default-features -- -D warnings
	$(CARGO) clippy $(QUIET) -p sel4-llm-sim --features inject -- -D warnings
	$(CARGO) clippy $(QUIET) -p sel4-llm-sim --features redteam -- -D warnings

# Advisories come from a database that only the network has, so they are a check of their own: ADVISORIES=1.
.PHONY: deny
deny: ## licences, duplicates and sources of all dependencies (needs cargo-deny; ADVISORIES=1: known vulnerabilities, too)
	@command -v cargo-deny >/dev/null || { echo 'no cargo-deny: cargo install cargo-deny --locked' >&2; exit 1; }
	cargo-deny --locked --all-features check --config $(CURDIR)/deny.toml --show-stats bans licenses sources $(if $(ADVISORIES),advisories)
	cargo-deny --locked --manifest-path pds/sel4/Cargo.toml check --config $(CURDIR)/deny.toml --show-stats bans licenses sources $(if $(ADVISORIES),advisories)

.PHONY: machete
machete: ## dependencies that nothing uses (needs cargo-machete)
	@command -v cargo-machete >/dev/null || { echo 'no cargo-machete: cargo install cargo-machete --locked' >&2; exit 1; }
	cargo-machete --with-metadata

.PHONY: doc
doc: ## the documentation, warnings are errors
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc $(QUIET) --workspace --no-deps

# For the tests of tools/train: TRAIN_PYTHON, if set, has the packages that they import.
TESTS_PYTHON = $(or $(TRAIN_PYTHON),python3)
TRAIN_PROBE = $(TESTS_PYTHON) -c 'import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, ("pytest", "torch", "sentencepiece", "gguf"))))'

.PHONY: unit
unit: ## unit and integration tests
	$(CARGO) test $(QUIET) --workspace
	python3 -m unittest discover --quiet tools/qemu-console
	python3 -m unittest discover --quiet tools/coverage
	python3 -m unittest discover --quiet tools/test-sel4
	python3 -m unittest discover --quiet tools/stages
	tests/monitor-fuzz/planted --check

.PHONY: test-train
test-train: ## the tests of tools/train
	@$(TRAIN_PROBE) || echo '*** SKIPPED: the tests of tools/train were not run: they need what tools/train/requirements.txt lists ***' >&2
	@! $(TRAIN_PROBE) || $(TESTS_PYTHON) -m pytest --quiet -p no:cacheprovider tools/train/tests

# The monitor with random peers, faults and clocks, compared with a reference: always the same runs, as many as time
# allows.
MONITOR_SECONDS ?= 20
MONITOR_FIRST ?= 0

.PHONY: monitor-fuzz
monitor-fuzz: ## the model-based fuzz of the whole monitor, for MONITOR_SECONDS from the seed MONITOR_FIRST on
	$(CARGO) run $(QUIET) --profile tested -p sel4-llm-monitor-fuzz -- --seconds $(MONITOR_SECONDS) --first $(MONITOR_FIRST)

.PHONY: loom
loom: ## the memory ordering of the ring and of the workers' gates, model-checked
	RUSTFLAGS='--cfg loom' CARGO_TARGET_DIR=$(TARGET_DIR)/loom \
		$(CARGO) test $(QUIET) --release -p sel4-llm-protocol -p sel4-llm-workers --test loom

# The engine's own tests on aarch64, for the NEON kernels, but for those of how sessions and threads interleave: they are
# the same on every processor, and take minutes in an emulator. The sysroot is from Debian's cross compiler.
AARCH64_SYSROOT ?= /usr/aarch64-linux-gnu
AARCH64_STD := $(if $(filter aarch64-unknown-linux-gnu,$(INSTALLED)),,-Zbuild-std)
AARCH64_TOOLS := $(and $(shell command -v qemu-aarch64),$(shell command -v aarch64-linux-gnu-gcc),$(or $(filter aarch64-unknown-linux-gnu,$(INSTALLED)),$(wildcard $(shell rustc --print sysroot)/lib/rustlib/src/rust/library/std)))

.PHONY: unit-aarch64
unit-aarch64: ## the engine's unit tests and the golden vectors on aarch64, in qemu-user
ifneq ($(AARCH64_TOOLS),)
	RUSTC_BOOTSTRAP=1 CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER='qemu-aarch64 -L $(AARCH64_SYSROOT)' \
		$(CARGO) test $(QUIET) $(AARCH64_STD) --target aarch64-unknown-linux-gnu --target-dir $(TARGET_DIR)/aarch64 \
		--profile emulated -p llm-core -p golden --lib --test golden -- \
		--skip backend::client_tests:: --skip backend::session_tests:: --skip any_number_of_workers
else
	@echo
	@echo '*** SKIPPED: the NEON kernels in qemu-user: they need qemu-aarch64, aarch64-linux-gnu-gcc, and the target aarch64-unknown-linux-gnu or rust-src ***'
endif

# Line coverage of code that must not fail. LLVM's tools must match rustc's version: rustup's component, or a
# distribution's.
LLVM_VERSION = $(shell rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
LLVM_BIN = $(firstword $(dir $(wildcard $(shell rustc --print sysroot)/lib/rustlib/*/bin/llvm-cov /usr/lib/llvm-$(LLVM_VERSION)/bin/llvm-cov)))
COVERED := pds/audit protocol

.PHONY: coverage
coverage: ## line coverage of audit and the protocol, at least 98 % (needs cargo-llvm-cov; MISSING=1 shows the lines)
	@command -v cargo-llvm-cov >/dev/null || { echo 'no cargo-llvm-cov: cargo install cargo-llvm-cov' >&2; exit 1; }
	@test -x '$(LLVM_BIN)llvm-cov' || { echo 'no llvm-cov of LLVM $(LLVM_VERSION): rustup component add llvm-tools, or install llvm-$(LLVM_VERSION)' >&2; exit 1; }
	@mkdir -p $(BUILD)/coverage
	LLVM_COV=$(LLVM_BIN)llvm-cov LLVM_PROFDATA=$(LLVM_BIN)llvm-profdata CARGO_TARGET_DIR=$(TARGET_DIR)/coverage \
		$(CARGO) llvm-cov $(QUIET) -p sel4-llm-audit -p sel4-llm-protocol --lcov --output-path $(BUILD)/coverage/lcov.info
	@tools/coverage/coverage $(BUILD)/coverage/lcov.info $(COVERED) --least 98 $(if $(MISSING),--missing)

# The fuzzed crates have almost no unsafe code, so no sanitizer is needed; a stable compiler accepts cargo-fuzz's flags
# when told to. New inputs go to build/fuzz, failing ones to fuzz/artifacts.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS := gguf vocabulary text wire shell disk

.PHONY: fuzz
fuzz: ## fuzz the whole monitor and each target for FUZZ_SECONDS, from new seeds (the targets need cargo-fuzz and a C++ compiler)
	@$(MAKE) --no-print-directory monitor-fuzz MONITOR_SECONDS=$(FUZZ_SECONDS) MONITOR_FIRST=$$(date +%s)
	@command -v cargo-fuzz >/dev/null || { echo 'no cargo-fuzz: cargo install cargo-fuzz' >&2; exit 1; }
	@$(CARGO) run $(QUIET) -p sel4-llm-fuzz-targets --bin seeds -- $(BUILD)/fuzz
	@mkdir -p $(foreach target,$(FUZZ_TARGETS),fuzz/corpus/$(target))
	@set -e; for target in $(FUZZ_TARGETS); do \
		RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run --sanitizer none $$target $(BUILD)/fuzz/$$target fuzz/corpus/$$target \
			-- -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -print_final_stats=1; \
	done

PLANTED_SECONDS ?= 60

.PHONY: fuzz-planted
fuzz-planted: ## see that the fuzz of the monitor finds bugs that are planted into it, each within PLANTED_SECONDS
	@tests/monitor-fuzz/planted --seconds $(PLANTED_SECONDS) $(BUILD)/planted

# A simulation whose inference misbehaves if a prompt says so.
BUILD_INJECT = $(CARGO) build $(QUIET) --profile $(HOST_PROFILE) -p sel4-llm-sim --features inject --bin sel4-llm-sim-inject >&2
INJECT_SIM := $(BIN)/sel4-llm-sim-inject system.xml --search-path

.PHONY: e2e-sim
e2e-sim: sim-build llmtool $(TEST_STORE) $(TEST_POLICY) ## the end-to-end suite on the simulation
	@$(BUILD_INJECT)
	SEL4_LLM_RUN='$(SIM)' \
	SEL4_LLM_RUN_INJECT='$(INJECT_SIM) $(dir $(TEST_STORE)) $(dir $(TEST_POLICY))' \
	SEL4_LLM_RUN_INJECT_SHIPPED='$(INJECT_SIM) $(dir $(STORE)) $(dir $(POLICY))' \
	SEL4_LLM_LLMTOOL='$(BIN)/llmtool' \
		$(CARGO) test $(QUIET) -p sel4-llm-tests --test e2e --test monitor --test replay --test adapters --test formats --test console --test documents
	@$(MAKE) --no-print-directory e2e-disk-sim SYSTEM=disk
	@$(MAKE) --no-print-directory example-test-sim EXAMPLE=triage
	@$(MAKE) --no-print-directory example-test-sim EXAMPLE=triage VARIANT=c
	@$(MAKE) --no-print-directory soak SOAK_REQUESTS=300
	@$(MAKE) --no-print-directory storm-sim STORM_FAULTS=10

# The system with a disk; `$$DISK` is each test's own image.
E2E_DISK := --test disk_models --test disk_log --test disk_input
E2E_DISK_RUN = SEL4_LLM_DEVICE=$(DEVICE_KEY) SEL4_LLM_LLMTOOL='$(BIN)/llmtool' $(CARGO) test $(QUIET) -p sel4-llm-tests $(E2E_DISK) --

.PHONY: e2e-disk
e2e-disk: ## the end-to-end suite of systems/disk on the simulation and, with an SDK, on seL4 in QEMU
	@$(MAKE) --no-print-directory e2e-disk-sim SYSTEM=disk
ifneq ($(wildcard $(SDK)/bin/microkit),)
	@$(MAKE) --no-print-directory e2e-disk-qemu SYSTEM=disk
else
	@echo '*** SKIPPED: systems/disk on seL4: no Microkit SDK in MICROKIT_SDK or /opt/microkit-sdk* ***'
endif

.PHONY: e2e-disk-sim
e2e-disk-sim: description sim-build llmtool $(GO_ON_POLICY) $(SYSTEM_TEST_POLICY)
	@$(CARGO) build $(QUIET) --profile $(HOST_PROFILE) -p broken-disk-sim >&2
	SEL4_LLM_RUN_BROKEN_DISK='$(subst --disk $(DISK),--disk "$$DISK",$(SIM)) --program disk=$(BIN)/broken-disk-sim' \
	SEL4_LLM_LLMTOOL='$(BIN)/llmtool' $(CARGO) test $(QUIET) -p sel4-llm-tests --test disk_broken
	SEL4_LLM_RUN_DISK='$(subst --disk $(DISK),--disk "$$DISK",$(SIM))' $(E2E_DISK_RUN)
	SEL4_LLM_RUN_DISK='$(subst --disk $(DISK),--disk "$$DISK",$(subst $(dir $(SYSTEM_POLICY)),$(dir $(SYSTEM_TEST_POLICY)),$(SIM)))' \
	SEL4_LLM_TEST_KEY=$(KEYS)/test.key.pem $(subst $(E2E_DISK),--test disk_adapters,$(E2E_DISK_RUN))
	@$(CARGO) build $(QUIET) --profile $(HOST_PROFILE) -p gremlin-sim >&2
	SEL4_LLM_RUN_DISK_HOSTILE='$(subst --disk $(DISK),--disk "$$DISK",$(subst $(dir $(SYSTEM_POLICY)),$(dir $(GO_ON_POLICY)),$(SIM))) --program files=$(BIN)/gremlin-sim' SEL4_LLM_LLMTOOL='$(BIN)/llmtool' \
		$(CARGO) test $(QUIET) -p sel4-llm-tests --test disk_hostile

.PHONY: e2e-disk-qemu
e2e-disk-qemu: check-emulator image llmtool
	SEL4_LLM_RUN_DISK='$(QEMU) $(subst {disk},"$$DISK",$(call board_line,disk)) $(call BOOT_FILE,$(IMAGE))' \
		$(E2E_DISK_RUN) --test-threads 2

## ---- Endurance ----------------------------------------------------------------------------------

SOAK_REQUESTS ?= 10000
SOAK_SEED ?= 1
STORM_FAULTS ?= 200

ENDURANCE = SEL4_LLM_LLMTOOL='$(BIN)/llmtool' $(CARGO) run $(QUIET) --profile $(HOST_PROFILE) -p sel4-llm-tests --bin
# With the shipped model.
STORM = $(ENDURANCE) storm -- --model models/default.gguf --models models --faults $(STORM_FAULTS)
STORM_IMAGE := $(BUILD)/$(BOARD)/storm/loader.img

.PHONY: inject-sim
inject-sim: llmtool $(STORE) $(TEST_STORE) $(STORM_POLICY)
	@$(BUILD_INJECT)

SOAK_CLIENTS := $(foreach client,first second,--program $(client)=$(BIN)/soak-client)

.PHONY: soak
soak: inject-sim $(SOAK_POLICY) ## SOAK_REQUESTS requests at random of three clients on the simulation, with kills, cancels and garbage
	@$(CARGO) build $(QUIET) --profile $(HOST_PROFILE) -p soak-client >&2
	@SEL4_LLM_RUN_INJECT='$(BIN)/sel4-llm-sim-inject $(SOAK_OUT)/system.xml $(SOAK_CLIENTS) --search-path $(dir $(TEST_STORE)) $(SOAK_OUT)' \
		$(ENDURANCE) soak -- --requests $(SOAK_REQUESTS) --seed $(SOAK_SEED) \
		--models $(dir $(TEST_STORE)) --output $(SOAK_OUT)

.PHONY: storm-sim
storm-sim: inject-sim ## STORM_FAULTS faults and hangs in a row on the simulation
	@SEL4_LLM_RUN_INJECT='$(INJECT_SIM) $(dir $(STORE)) $(dir $(STORM_POLICY))' \
		$(STORM) --output $(BUILD)/storm-sim

.PHONY: storm
storm: llmtool $(STORE) $(STORM_POLICY) ## STORM_FAULTS faults and hangs in a row on seL4 in QEMU
	@$(MAKE) --no-print-directory image INJECT=1
	@mkdir -p $(dir $(STORM_IMAGE))
	@$(SDK)/bin/microkit $(RESOLVED) --search-path $(SEL4_OUT)-inject-1 $(dir $(STORE)) $(dir $(STORM_POLICY)) \
		--board $(BOARD) --config $(CONFIG) -r $(dir $(STORM_IMAGE))report.txt -o $(STORM_IMAGE) >&2
	@$(call WRAP,$(STORM_IMAGE))
	@SEL4_LLM_RUN_INJECT='$(call BOOT,$(STORM_IMAGE))' $(STORM) --output $(BUILD)/$(BOARD)/storm

## ---- Red team ------------------------------------------------------------------------------------

# The description to attack. REDTEAM_SYSTEM=FILE shows that the runner rejects one that gives too much authority.
REDTEAM_SYSTEM ?= system.xml
REDTEAM_OUT := $(BUILD)/redteam
# How the board has a disk, which is each boot's own.
REDTEAM_DISK := $(subst {disk},"$$DISK",$(call board_line,disk))
REDTEAM_RUN_FILES = $(if $(REDTEAM_DISK),SEL4_LLM_DEVICE=$(DEVICE_KEY) SEL4_LLM_REDTEAM_FILES='$(QEMU) $(REDTEAM_DISK) $(call BOOT_FILE,$(SEL4_OUT)-redteam-files-disk/loader.img)')
REDTEAM_RUN = SEL4_LLM_LLMTOOL='$(BIN)/llmtool' $(CARGO) test $(QUIET) -p sel4-llm-tests --test redteam

.PHONY: redteam
redteam: redteam-sim ## attack the system from hostile domains: on the simulation and, with an SDK, on seL4
ifneq ($(wildcard $(SDK)/bin/microkit),)
	@$(MAKE) --no-print-directory redteam-qemu
else
	@echo '*** SKIPPED: the attacks on seL4: no Microkit SDK in MICROKIT_SDK or /opt/microkit-sdk* ***'
endif

.PHONY: redteam-sim
redteam-sim: llmtool $(STORE) $(REDTEAM_POLICY) $(REDTEAM_CLIENTS_POLICY) $(REDTEAM_FILES_POLICY) $(REDTEAM_CORES_POLICY)
	@mkdir -p $(REDTEAM_OUT)
	@$(CARGO) build $(QUIET) --profile $(HOST_PROFILE) -p sel4-llm-sim --features redteam --bin sel4-llm-sim-redteam >&2
	@$(CARGO) build $(QUIET) --profile $(HOST_PROFILE) -p sel4-llm-sim -p mallory-sim -p gremlin-sim >&2
	SEL4_LLM_REDTEAM_ON=simulation SEL4_LLM_REDTEAM_OUT=$(CURDIR)/$(REDTEAM_OUT) \
	SEL4_LLM_REDTEAM='$(BIN)/sel4-llm-sim-redteam $(REDTEAM_SYSTEM) --search-path $(dir $(STORE)) $(dir $(REDTEAM_POLICY))' \
	SEL4_LLM_REDTEAM_CLIENTS='$(BIN)/sel4-llm-sim $(REDTEAM_CLIENTS)/system.xml --search-path $(dir $(STORE)) $(dir $(REDTEAM_CLIENTS_POLICY)) --program mallory=$(BIN)/mallory-sim --outlive-clients' \
	SEL4_LLM_DEVICE=$(DEVICE_KEY) \
	SEL4_LLM_REDTEAM_FILES='$(BIN)/sel4-llm-sim $(REDTEAM_FILES) --disk "$$DISK" --search-path $(dir $(STORE)) $(dir $(REDTEAM_FILES_POLICY)) --program files=$(BIN)/gremlin-sim --outlive-clients' \
	SEL4_LLM_REDTEAM_CORES='$(REDTEAM_CORES_SIM)' \
		$(REDTEAM_RUN)

REDTEAM_CORES_SIM = $(BIN)/sel4-llm-sim-redteam $(REDTEAM_CORES) --search-path $(dir $(STORE)) $(dir $(REDTEAM_CORES_POLICY))

# The attacks of a hostile worker alone.
.PHONY: redteam-cores-sim
redteam-cores-sim: llmtool $(STORE) $(REDTEAM_CORES_POLICY)
	@mkdir -p $(REDTEAM_OUT)
	@$(CARGO) build $(QUIET) --profile $(HOST_PROFILE) -p sel4-llm-sim --features redteam --bin sel4-llm-sim-redteam >&2
	SEL4_LLM_REDTEAM_ON=simulation SEL4_LLM_REDTEAM_OUT=$(CURDIR)/$(REDTEAM_OUT) \
	SEL4_LLM_REDTEAM_CORES='$(REDTEAM_CORES_SIM)' \
		$(REDTEAM_RUN)

# The hostile client for seL4.
.PHONY: mallory-sel4
mallory-sel4: check-sdk
	@mkdir -p $(SEL4_OUT)
	@$(SEL4_CARGO) -p mallory --target $(SEL4_TRIPLE) >&2
	@cp $(SEL4_TARGET)/$(SEL4_TRIPLE)/release/mallory $(SEL4_OUT)/mallory.elf

.PHONY: redteam-qemu
redteam-qemu: llmtool
	@mkdir -p $(REDTEAM_OUT)
	@$(MAKE) --no-print-directory image REDTEAM=inference DESCRIPTION=$(REDTEAM_SYSTEM)
	@$(MAKE) --no-print-directory image REDTEAM=shell DESCRIPTION=$(REDTEAM_SYSTEM)
	@$(MAKE) --no-print-directory image REDTEAM=clients
	@$(if $(REDTEAM_DISK),$(MAKE) --no-print-directory image REDTEAM=files SYSTEM=disk,echo '*** SKIPPED: a hostile files: $(BOARD) has no disk ***')
	SEL4_LLM_BOARD=$(BOARD) SEL4_LLM_REDTEAM_ON=sel4 SEL4_LLM_REDTEAM_OUT=$(CURDIR)/$(REDTEAM_OUT) \
	SEL4_LLM_REDTEAM='$(call BOOT,$(SEL4_OUT)-redteam-inference/loader.img)' \
	SEL4_LLM_REDTEAM_SHELL='$(call BOOT,$(SEL4_OUT)-redteam-shell/loader.img)' \
	SEL4_LLM_REDTEAM_CLIENTS='$(call BOOT,$(SEL4_OUT)-redteam-clients/loader.img)' \
	$(REDTEAM_RUN_FILES) \
		$(REDTEAM_RUN)

# The attacks of a hostile files alone: one image in place of four.
.PHONY: redteam-files-qemu
redteam-files-qemu: llmtool
	@mkdir -p $(REDTEAM_OUT)
	@$(MAKE) --no-print-directory image REDTEAM=files SYSTEM=disk
	SEL4_LLM_BOARD=$(BOARD) SEL4_LLM_REDTEAM_ON=sel4 SEL4_LLM_REDTEAM_OUT=$(CURDIR)/$(REDTEAM_OUT) \
	$(REDTEAM_RUN_FILES) \
		$(REDTEAM_RUN)

# The main system and systems/partitions in turn: what hostile domains can tell each other by who runs when, and what
# partitions cost honest ones. For the first an instruction takes a nanosecond and an idle processor no time of the host's,
# so that nothing is measured but the system; the second are times of the emulation.
PARTITIONS_ROUNDS ?= 4
COUNTED = $(QEMU) -icount shift=0$(comma)sleep=off

.PHONY: partitions
partitions: llmtool check-emulator ## what time partitions close and cost, on seL4 in QEMU (15 minutes)
	@$(MAKE) --no-print-directory image
	@$(MAKE) --no-print-directory image SYSTEM=partitions
	@$(MAKE) --no-print-directory image REDTEAM=shell
	@$(MAKE) --no-print-directory image REDTEAM=shell SYSTEM=partitions
	SEL4_LLM_REDTEAM_SHELL='$(COUNTED) $(call BOOT_FILE,$(SEL4_OUT)-redteam-shell/loader.img)' \
	SEL4_LLM_REDTEAM_PARTITIONS='$(COUNTED) $(call BOOT_FILE,$(SEL4_OUT)-redteam-shell-partitions/loader.img)' \
	SEL4_LLM_RUN='$(call BOOT,$(IMAGE))' SEL4_LLM_RUN_PARTITIONS='$(call BOOT,$(SEL4_OUT)-partitions/loader.img)' \
	SEL4_LLM_PARTITIONS_ROUNDS=$(PARTITIONS_ROUNDS) SEL4_LLM_LLMTOOL='$(BIN)/llmtool' \
		$(CARGO) test $(QUIET) -p sel4-llm-tests --test partitions

.PHONY: redteam-mutations
redteam-mutations: llmtool ## see the red team's runner object to descriptions that give too much away
	@$(MAKE) --no-print-directory image REDTEAM=inference
	@SEL4_LLM_BOARD=$(BOARD) SEL4_LLM_REDTEAM_ON=sel4 SEL4_LLM_LLMTOOL='$(BIN)/llmtool' SEL4_LLM_REDTEAM_BOOT='$(call BOOT,IMAGE)' \
		tests/redteam/mutations $(SDK)/bin/microkit $(BOARD) $(CONFIG) $(SEL4_OUT)-redteam-inference \
		$(dir $(STORE)) $(dir $(REDTEAM_POLICY)) $(CURDIR)/$(REDTEAM_OUT)/mutated -- \
		$(CARGO) test $(QUIET) -p sel4-llm-tests --test redteam

# The results in the repository: a file for each board, and one for the simulation. What was seen here since takes the place
# of the same attacks there; a row of an attack that is no more is taken out by hand.
REDTEAM_RESULTS := tests/redteam/results

.PHONY: redteam-docs
redteam-docs: ## take over what `make redteam` has seen here, and write tests/redteam/results.md
	@{ printf '# What the red team has seen\n\nWritten by `make redteam-docs` from the files in `results/`. Every attack that left the console alive was followed\nby an honest request with the canonical text and by a verification of the log.\n\n'; \
		SEL4_LLM_REDTEAM_TABLE=$(CURDIR)/$(REDTEAM_RESULTS) SEL4_LLM_REDTEAM_OUT=$(CURDIR)/$(REDTEAM_OUT) $(REDTEAM_RUN); } >$(REDTEAM_OUT)/results.md
	@mv $(REDTEAM_OUT)/results.md tests/redteam/results.md

## ---- Speed --------------------------------------------------------------------------------------

BENCH_MODELS := $(BUILD)/bench/bench-q4_0.gguf $(BUILD)/bench/bench-q8_0.gguf

$(BENCH_MODELS) &: llm-core/src/testing.rs
	@mkdir -p $(@D)
	@$(CARGO) run $(QUIET) --profile $(HOST_PROFILE) -p sel4-llm-tests --bin test-models -- --bench $(@D) >&2

$(BUILD)/bench/wide-f16.gguf: llm-core/src/testing.rs
	@mkdir -p $(@D)
	@$(CARGO) run $(QUIET) --profile $(HOST_PROFILE) -p sel4-llm-tests --bin test-models -- --wide $(@D) >&2

.PHONY: bench
bench: llmtool $(BENCH_MODELS) ## speed on this machine: kernels (criterion), models; also as target/bench.json
	$(CARGO) bench $(QUIET) -p llm-core --features detect,testing --bench kernels
	@tools/bench/bench --llmtool $(BIN)/llmtool --criterion $(TARGET_DIR)/criterion \
		--json $(TARGET_DIR)/bench.json models/default.gguf $(BENCH_MODELS)

# BENCH_PEERS: further options of tools/bench-peers/bench-peers, such as --rows or --prefix.
.PHONY: bench-peers
bench-peers: llmtool $(BENCH_MODELS) $(BUILD)/bench/wide-f16.gguf ## speed of every format beside llama.cpp (PyPI, cmake, C++ compiler; an hour), and llama2.c in LLAMA2C
	@tools/bench-peers/bench-peers --llmtool $(BIN)/llmtool --models $(BUILD)/bench --build $(BUILD)/peers \
		--json $(TARGET_DIR)/bench-peers.json $(if $(LLAMA_CPP),--llama-cpp $(LLAMA_CPP)) $(if $(LLAMA2C),--llama2c $(LLAMA2C)) \
		$(BENCH_PEERS)

# Instruction counts do not depend on the machine. The build matches the domain on seL4 as far as the compiler is
# concerned: strict alignment, and no SDOT.
.PHONY: bench-neon
bench-neon: ## instructions of the NEON kernels for each multiply-accumulate, in qemu-user
	@test -n '$(AARCH64_TOOLS)' || { echo 'bench-neon needs qemu-aarch64, aarch64-linux-gnu-gcc, and the target aarch64-unknown-linux-gnu or rust-src' >&2; exit 1; }
	@RUSTC_BOOTSTRAP=1 CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS='-C target-feature=+strict-align' \
		$(CARGO) build $(QUIET) $(AARCH64_STD:-Zbuild-std=-Zbuild-std=std$(comma)panic_abort) --release --target aarch64-unknown-linux-gnu --target-dir $(TARGET_DIR)/aarch64 \
		-p llm-core --features testing --example multiply >&2
	@tools/bench-neon/bench-neon --json $(TARGET_DIR)/bench-neon.json \
		--program $(TARGET_DIR)/aarch64/aarch64-unknown-linux-gnu/release/examples/multiply \
		-- qemu-aarch64 -L $(AARCH64_SYSROOT)

BENCH_SIZES := $(BUILD)/bench/sizes

.PHONY: bench-plot
bench-plot: llmtool ## draw docs/performance.svg, after bench-peers (matplotlib)
	@mkdir -p $(BENCH_SIZES)
	@$(CARGO) run $(QUIET) --profile $(HOST_PROFILE) -p sel4-llm-tests --bin test-models -- --sizes $(BENCH_SIZES) >&2
	@tools/bench/plot --llmtool $(BIN)/llmtool --llama-bench $(BUILD)/peers/llama/bin/llama-bench --sizes $(BENCH_SIZES)

# The measuring image with a second client (tests/clients/mute): silent in one, and in the other it asks and never
# reads.
BESIDE_OUT := $(BUILD)/bench-beside

.PHONY: bench-beside
bench-beside: check-sdk llmtool $(STORE) $(TEST_POLICY) $(DEVICE_KEY)
	@mkdir -p $(BESIDE_OUT)
	@$(MAKE) --no-print-directory image MEASURE=1
	@$(SEL4_CARGO) -p mute --target $(SEL4_TRIPLE) >&2
	@cp $(SEL4_TARGET)/$(SEL4_TRIPLE)/release/mute $(BESIDE_OUT)/mute.elf
	@tests/clients/add-clients system.xml mute=orders >$(BESIDE_OUT)/described.xml
	@$(call RESOLVE,$(BESIDE_OUT)/described.xml,$(BESIDE_OUT)/system.xml)
	@sed 's|\.\./build/|../|' tests/policy.toml tests/clients/mute/policy.toml >$(BESIDE_OUT)/policy.toml
	@$(COMPILE_POLICY) $(BESIDE_OUT)/policy.toml --system $(BESIDE_OUT)/system.xml -o $(BESIDE_OUT)/policy.bin --formats $(BESIDE_OUT)/formats.bin >&2
	@set -e; for orders in 0:silent 1:asks; do \
		printf %s $${orders%:*} >$(BESIDE_OUT)/orders.bin; \
		python3 -c 'import os, sys; os.truncate(sys.argv[1], 0x1000)' $(BESIDE_OUT)/orders.bin; \
		$(SDK)/bin/microkit $(BESIDE_OUT)/system.xml --search-path $(BESIDE_OUT) $(SEL4_OUT)-measure $(dir $(STORE)) \
			--board $(BOARD) --config $(CONFIG) -r $(BESIDE_OUT)/report.txt -o $(BESIDE_OUT)/$${orders#*:}.img >&2; \
	done

.PHONY: bench-qemu
bench-qemu: check-sdk llmtool ## speed and instructions on seL4 in QEMU
	@$(MAKE) --no-print-directory image
	@$(MAKE) --no-print-directory bench-beside
	@$(MAKE) --no-print-directory image LARGE=bench
	@tools/bench-qemu/bench-qemu speed --json $(TARGET_DIR)/bench-qemu.json --llmtool $(BIN)/llmtool \
		--model models/default.gguf --image $(IMAGE) --measure $(SEL4_OUT)-measure/loader.img \
		--beside-silent $(BESIDE_OUT)/silent.img --beside-asking $(BESIDE_OUT)/asks.img \
		--large $(SEL4_OUT)-large-bench/loader.img --large-model $(BUILD)/large-bench/default.gguf -- $(QEMU)

.PHONY: bench-boards
bench-boards: llmtool ## instructions a token and a crossing of a boundary on each board of LANE, in QEMU
	@set -e; for board in $(SEL4_BOARDS); do \
		$(MAKE) --no-print-directory image BOARD=$$board; \
		$(MAKE) --no-print-directory image MEASURE=1 BOARD=$$board; \
	done
	@set -e; for board in $(SEL4_BOARDS); do \
		set -- "$$@" --board $$board "$$($(MAKE) --no-print-directory boot-command BOARD=$$board)" \
			"$$($(MAKE) --no-print-directory boot-command MEASURE=1 BOARD=$$board)"; \
	done; \
	tools/bench-qemu/bench-qemu boards --json $(TARGET_DIR)/bench-boards.json --llmtool $(BIN)/llmtool --model models/default.gguf "$$@"

.PHONY: bench-ahead
bench-ahead: check-sdk check-emulator llmtool ## what the log on a disk adds to a first token, in QEMU
	@$(MAKE) --no-print-directory image
	@$(MAKE) --no-print-directory image SYSTEM=disk
	@rm -f $(BUILD)/bench-ahead.img
	@$(BIN)/llmtool disk create $(BUILD)/bench-ahead.img --size 32MiB --log-size 4MiB >&2
	@tools/bench-qemu/bench-qemu ahead --without '$(call BOOT,$(IMAGE))' \
		--ahead '$(QEMU) $(subst {disk},$(BUILD)/bench-ahead.img,$(call board_line,disk)) $(call BOOT_FILE,$(SEL4_OUT)-disk/loader.img)'

# TRAIN=default, tiny or triage: a config of tools/train. The corpus is not part of the repository:
# tools/train/README.md.
TRAIN ?= default
MODEL_KEY ?= $(BUILD)/model/models.key.pem
TRAIN_VENV := $(BUILD)/model/venv
# A Python that has the packages in tools/train/requirements.txt; if none is given, one is created.
TRAIN_PYTHON ?=

$(TRAIN_VENV)/installed: tools/train/requirements.txt
	@python3 -m venv $(TRAIN_VENV)
	@$(TRAIN_VENV)/bin/python -m pip install --quiet -r $<
	@touch $@

.PHONY: train
train: llmtool $(if $(TRAIN_PYTHON),,$(TRAIN_VENV)/installed) ## make TRAIN=default|tiny|triage again, from its data to a signed GGUF in build/model (default: three hours; goes on where it stopped)
	@$(or $(TRAIN_PYTHON),$(TRAIN_VENV)/bin/python) tools/train/train.py --work $(BUILD)/model model tools/train/configs/$(TRAIN).toml \
		--llmtool $(BIN)/llmtool --key $(MODEL_KEY) $(if $(MAX_MINUTES),--max-minutes $(MAX_MINUTES)) -o $(BUILD)/model/$(TRAIN).gguf

.PHONY: clean
clean: ## remove what was built
	rm -rf $(BUILD)
	$(CARGO) clean
