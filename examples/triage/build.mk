# What the Makefile of the repository includes for EXAMPLE=triage. VARIANT=rust: the component in Rust.
$(if $(filter rust,$(VARIANT)),,$(error $(EXAMPLE) has no variant '$(VARIANT)', but rust))

# The Microkit tool wants a prefill of the region's own size, and the component stops at a zero.
EXAMPLE_FILES := $(EXAMPLE_OUT)/events.bin

$(EXAMPLE_OUT)/events.bin: $(EXAMPLE_DIR)/events.txt
	@mkdir -p $(@D)
	@cp $< $@
	@python3 -c 'import os, sys; assert os.path.getsize(sys.argv[1]) <= 0x1000, "events.txt has more bytes than its region"; os.truncate(sys.argv[1], 0x1000)' $@

# The component for the simulation, and where the supervisor finds it.
EXAMPLE_PROGRAMS := triage=$(BIN)/triage-sim

.PHONY: example-programs-sim
example-programs-sim:
	@$(CARGO) build $(QUIET) --release -p triage-sim >&2

# The component for seL4.
.PHONY: example-programs-sel4
example-programs-sel4: check-sdk
	@mkdir -p $(SEL4_OUT)
	@$(SEL4_CARGO) -p triage --target aarch64-unknown-none-softfloat >&2
	@cp $(SEL4_TARGET)/aarch64-unknown-none-softfloat/release/triage $(SEL4_OUT)/triage.elf
