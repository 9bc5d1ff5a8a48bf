/* The client under test: it does what byte 0 of its region `order` says. */

#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include <microkit.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Set before `init`, whether static or not, constant or not, and whatever their initial value. */
uintptr_t to_peer;
uintptr_t to_peer_size = 1;
static volatile uintptr_t order;
const volatile uintptr_t order_bytes = 0;
uint64_t peer_channel = 99;
#ifdef NARROW
uint32_t narrow = 0;
#endif

static volatile uint64_t *words;
static uint64_t wakeups;

void init(void)
{
    words = (volatile uint64_t *)to_peer;
    words[1] = to_peer_size;
    words[2] = order_bytes;
    words[3] = peer_channel;
    microkit_dbg_puts("I am ");
    microkit_dbg_puts(microkit_name);
    microkit_dbg_puts(", with ");
    microkit_dbg_put8(255);
    microkit_dbg_putc('/');
    microkit_dbg_put32(4294967295u);
    microkit_dbg_putc('\n');
    switch (*(volatile char *)order) {
    case 'n':
        break;
    case 'w':
        *(volatile char *)order = 1;
        break;
    case 'm':
        /* Not malloc, whose system calls depend on the C library and on the memory that it has left. */
        words[0] = mmap(0, 1 << 24, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
        break;
    case 's':
        (void)!write(2, "let out", 7);
        break;
    case 'e':
        exit(0);
    case 'a':
        abort();
    case 'c':
        microkit_notify(peer_channel + 1);
        microkit_notify(1u << 31);
        break;
    }
    microkit_notify(peer_channel);
}

void notified(microkit_channel channel)
{
    wakeups += 1;
    words[4] = channel;
    words[0] = wakeups;
    microkit_irq_ack(channel);
    microkit_deferred_notify(peer_channel);
}
