# sel4-llm. `make help` lists the targets.

.DEFAULT_GOAL := help
V ?=
CARGO := cargo
QUIET := $(if $(V),,--quiet)

# CARGO_TARGET_DIR is honoured; the programs lie there.
TARGET_DIR := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
BIN := $(TARGET_DIR)/release
BUILD := build

# The models of the store, by name: the first is loaded at boot.
MODELS := default=models/default-q8_0.gguf tiny=models/tiny-f32.gguf
STORE := $(BUILD)/store/store.tar

SIM := $(BIN)/sel4-llm-sim system.xml --search-path $(BUILD)/store

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

## ---- Run ----------------------------------------------------------------------------------------

.PHONY: run
run: sim ## run the system: the Linux simulation

.PHONY: sim
sim: sim-build ## run the simulation: a process per protection domain of system.xml
	@$(SIM)

.PHONY: sim-build
sim-build: $(STORE)
	@$(CARGO) build $(QUIET) --release -p sel4-llm-sim >&2

.PHONY: store
store: $(STORE) ## pack the models into the store archive

$(STORE): $(foreach model,$(MODELS),$(lastword $(subst =, ,$(model)))) | llmtool
	@mkdir -p $(@D)
	@$(BIN)/llmtool pack $@ $(MODELS) >&2

.PHONY: llmtool
llmtool: ## build the host tool
	@$(CARGO) build $(QUIET) --release -p llmtool >&2

.PHONY: docker-run
docker-run: ## run in the Docker image
	@$(MAKE) -C docker run

## ---- Test ---------------------------------------------------------------------------------------

.PHONY: test
test: lint doc unit loom e2e-sim ## everything that needs no SDK: lints, docs, units, ring model, end to end
	@echo
	@echo '*** SKIPPED: the seL4 lane (no target boots the protection domains on seL4 yet)'

.PHONY: lint
lint: ## formatting and clippy, warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(QUIET) --workspace --all-targets -- -D warnings
	$(CARGO) clippy $(QUIET) -p sel4-llm-sim --features inject -- -D warnings

.PHONY: doc
doc: ## the documentation, warnings are errors
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc $(QUIET) --workspace --no-deps

.PHONY: unit
unit: ## unit and integration tests
	$(CARGO) test $(QUIET) --workspace

.PHONY: loom
loom: ## the memory ordering of the ring, model-checked
	RUSTFLAGS='--cfg loom' CARGO_TARGET_DIR=$(TARGET_DIR)/loom \
		$(CARGO) test $(QUIET) --release -p sel4-llm-protocol --test loom

# A build of its own: a simulation whose inference misbehaves when a prompt says so.
INJECT_DIR := $(TARGET_DIR)/inject

.PHONY: e2e-sim
e2e-sim: sim-build llmtool ## the end-to-end suite on the simulation
	@$(CARGO) build $(QUIET) --release -p sel4-llm-sim --features inject --target-dir $(INJECT_DIR) >&2
	SEL4_LLM_RUN='$(SIM)' \
	SEL4_LLM_RUN_INJECT='$(INJECT_DIR)/release/sel4-llm-sim system.xml --search-path $(BUILD)/store' \
	SEL4_LLM_LLMTOOL='$(BIN)/llmtool' \
		$(CARGO) test $(QUIET) -p sel4-llm-tests --test e2e

.PHONY: clean
clean: ## remove what was built
	rm -rf $(BUILD)
	$(CARGO) clean
