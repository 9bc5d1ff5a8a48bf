# The repository's Makefile includes this for EXAMPLE=triage. VARIANT selects the component in Rust or in C.

$(if $(filter rust c,$(VARIANT)),,$(error no variant '$(VARIANT)' of triage: there is rust, c))

# A store of its own: first the model that reads events, then those of the main system. The policy trusts both keys.
MODELS := triage=models/triage.gguf $(MODELS)
STORE := $(EXAMPLE_OUT)/store.tar
STORE_POLICY := $(EXAMPLE_DIR)/policy.toml

# The Microkit tool requires a prefill of exactly the region's size. The component stops at a zero.
EXAMPLE_FILES := $(EXAMPLE_OUT)/events.bin

$(EXAMPLE_OUT)/events.bin: $(EXAMPLE_DIR)/events.txt
	@mkdir -p $(@D)
	@cp $< $@
	@python3 -c 'import os, sys; assert os.path.getsize(sys.argv[1]) <= 0x8000, "events.txt has more bytes than its region"; os.truncate(sys.argv[1], 0x8000)' $@

# The component for the simulation, where the supervisor finds it, and the component for seL4.
.PHONY: example-programs-sim example-programs-sel4
ifeq ($(VARIANT),rust)

EXAMPLE_PROGRAMS := triage=$(BIN)/triage-sim

example-programs-sim:
	@$(CARGO) build $(QUIET) --profile $(HOST_PROFILE) -p triage-sim >&2

example-programs-sel4: check-sdk
	@mkdir -p $(SEL4_OUT)
	@$(SEL4_CARGO) -p triage --target $(SEL4_TRIPLE) >&2
	@cp $(SEL4_TARGET)/$(SEL4_TRIPLE)/release/triage $(SEL4_OUT)/triage.elf

else

# One source and a C compiler; a header and a library of the client, and of Microkit or the simulation.
TRIAGE_C := $(EXAMPLE_DIR)/c/triage.c
TRIAGE_CFLAGS = -std=gnu11 -O2 -g -Wall -Wextra -Werror -I $(CLIENT_C)/include -I $(EXAMPLE_OUT)
EXAMPLE_PROGRAMS := triage=$(EXAMPLE_OUT)/triage-sim

$(EXAMPLE_OUT)/standing.h: $(EXAMPLE_DIR)/standing.txt
	@mkdir -p $(@D)
	@sed 's/[\"]/\\&/g; s/.*/"&/; $$!s/$$/\\n"/; $$s/$$/"/' $< >$@

example-programs-sim: client-c-host sim-c $(EXAMPLE_OUT)/standing.h
	@$(CC) $(TRIAGE_CFLAGS) -I sim/c/include $(TRIAGE_C) \
		$(CLIENT_C)/host/libsel4_llm.a $(BIN)/libmicrokit_sim.a -lpthread -ldl -lm -o $(EXAMPLE_OUT)/triage-sim

example-programs-sel4: check-sdk client-c-sel4 $(EXAMPLE_OUT)/standing.h
	@mkdir -p $(SEL4_OUT)
	@$(SEL4_CC) $(TRIAGE_CFLAGS) -DPREFIX='"triage: "' -isystem $(SDK)/board/$(BOARD)/$(CONFIG)/include \
		$(SEL4_CFLAGS) -c $(TRIAGE_C) -o $(SEL4_OUT)/triage.o
	@$(SEL4_CC) $(SEL4_CFLAGS) -nostdlib -static -no-pie -Wl,--build-id=none,--gc-sections -Wl,-z,max-page-size=4096 \
		-L $(SDK)/board/$(BOARD)/$(CONFIG)/lib -T microkit.ld \
		$(SEL4_OUT)/triage.o $(CLIENT_C)/$(SEL4_TRIPLE)/libsel4_llm.a -lmicrokit -o $(SEL4_OUT)/triage.elf

endif
