/* Gigabytes that one core reads from memory in a second: the best of several passes over memory that no cache holds.
 * What a decode can reach at most if it reads every weight once. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* AHEAD: the CPU's own prefetching stops at the end of a page, so a plain loop does not reach what memory gives. */
enum { BYTES = 512 << 20, PASSES = 8, LANES = 64, AHEAD = 12 << 10, LINE = 64 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

int main(void)
{
    const size_t count = BYTES / sizeof(uint64_t);
    uint64_t *words = aligned_alloc(4096, BYTES);
    if (words == NULL) {
        fprintf(stderr, "stream: no %d bytes of memory\n", BYTES);
        return 1;
    }
    /* Pages that were never written are all the same zeros. */
    memset(words, 1, BYTES);
    double best = 0;
    uint64_t sums[LANES] = {0};
    for (int pass = 0; pass < PASSES; pass++) {
        double begun = now();
        for (size_t i = 0; i < count; i += LANES) {
            for (size_t at = 0; at < LANES * sizeof(uint64_t); at += LINE)
                __builtin_prefetch((const char *)(words + i) + AHEAD + at);
            for (int lane = 0; lane < LANES; lane++)
                sums[lane] += words[i + lane];
        }
        double rate = BYTES / (now() - begun);
        best = rate > best ? rate : best;
    }
    uint64_t sum = 0;
    for (int lane = 0; lane < LANES; lane++)
        sum += sums[lane];
    fprintf(stderr, "%llu\n", (unsigned long long)sum);
    printf("%.4f\n", best / 1e9);
    return 0;
}
