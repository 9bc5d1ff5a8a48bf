/* A plugin for QEMU 4.2 and later that counts the instructions of the emulated machine, all processors together, in the
 * eight bytes of the file that its argument `into=` names. Whoever started the emulator reads them when it has ended,
 * however that was.
 *
 * `-icount` would do for a machine whose timers bear a clock that stands still while they expire. QEMU's triple timer
 * counter rounds the time to the next expiry down to nothing, and then expires for ever.
 *
 * The declarations are those of QEMU's qemu-plugin.h (version 1 of the interface), which distributions do not package.
 */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_info;
enum { QEMU_PLUGIN_INLINE_ADD_U64 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                           void (*translated)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *block, int operation, void *number, uint64_t value);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

static uint64_t *count;

/* A block that an exception leaves early counts in full. Calls of the kernel end a block, so these are few. */
static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64, count, qemu_plugin_tb_n_insns(block));
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info,
                                                               int arguments, char **argument)
{
    (void)info;
    if (arguments != 1 || strncmp(argument[0], "into=", 5) != 0) {
        fprintf(stderr, "instructions: the plugin's one argument is into=FILE\n");
        return 1;
    }
    const char *path = argument[0] + 5;
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (file < 0 || ftruncate(file, sizeof *count) != 0) {
        perror(path);
        return 1;
    }
    count = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (count == MAP_FAILED) {
        perror(path);
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
