/*
 * The part of libmicrokit that a client of sel4-llm uses, for the simulation. The same source is compiled with the
 * header of the Microkit SDK for seL4, and with this one for Linux.
 *
 *   cc -I sim/c/include client.c target/release/libmicrokit_sim.a -o client-sim
 *   sel4-llm-sim system.xml --program client=./client-sim
 *
 * As on seL4, the variables that system.xml names in setvar_... are eight-byte globals of the program. They are set
 * before `init` is called, and it is an error if the program lacks one. Do not strip the program, since they are found
 * by its symbols. Registers of devices are not mapped, and there is no heap, because a domain has no system calls left
 * to get memory with.
 *
 * Not here: protected procedures, children, virtual machines, and seL4's own calls.
 */

#pragma once

#ifdef __cplusplus
extern "C" {
#endif

typedef unsigned long seL4_Word;
typedef unsigned int seL4_Uint32;
typedef unsigned char seL4_Uint8;
typedef signed char seL4_Bool;
#define seL4_True 1
#define seL4_False 0

typedef unsigned int microkit_channel;
typedef unsigned int microkit_child;

#define MICROKIT_MAX_CHANNELS 62
#define MICROKIT_MAX_CHANNEL_ID (MICROKIT_MAX_CHANNELS - 1)
#define MICROKIT_PD_NAME_LENGTH 64

/* Defined by the program. */
void init(void);
void notified(microkit_channel ch);

/* The name of the domain. */
extern char microkit_name[MICROKIT_PD_NAME_LENGTH];

/* Wakes the peer on the channel. If the domain does not have it, that is a line of debug output. */
void microkit_notify(microkit_channel ch);

/* The same. It is not deferred, because there is no kernel call to save. */
void microkit_deferred_notify(microkit_channel ch);

/* Does nothing: the simulation's stand-ins for interrupts need no acknowledgement. */
void microkit_irq_ack(microkit_channel ch);
void microkit_deferred_irq_ack(microkit_channel ch);

/*
 * Debug output: lines on standard error, after the name of the domain, if the simulation was started with --debug.
 * Otherwise nothing, since a release kernel has no debug console.
 */
void microkit_dbg_putc(int c);
void microkit_dbg_puts(const char *s);
void microkit_dbg_put8(seL4_Uint8 x);
void microkit_dbg_put32(seL4_Uint32 x);

#ifdef __cplusplus
}
#endif
