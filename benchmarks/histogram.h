// Counts of latencies in microseconds: exact below 128, then in steps of 1/64 of their size.
// A program includes it once.
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

enum { SUB = 128, BUCKETS = SUB * 40 };

typedef struct {
    uint64_t count[BUCKETS], total, sum, most;
} Histogram;

static void note(Histogram *h, uint64_t ns) {
    uint64_t us = ns / 1000;
    h->total++;
    h->sum += us;
    if (us > h->most) h->most = us;
    size_t at = us;
    if (us >= SUB) {
        int shift = 63 - __builtin_clzll(us) - 6;
        at = SUB / 2 * shift + (us >> shift);
    }
    h->count[at < BUCKETS ? at : BUCKETS - 1]++;
}

// The least latency that is counted at a place.
static uint64_t lowest(size_t at) {
    if (at < SUB) return at;
    int shift = at / (SUB / 2) - 1;
    return (uint64_t)(at - SUB / 2 * shift) << shift;
}

static uint64_t quantile(const Histogram *h, double q) {
    uint64_t seen = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        seen += h->count[i];
        if (h->total && seen >= q * h->total) return lowest(i);
    }
    return 0;
}

// As JSON: [[microseconds, count], …] of all that were seen.
static void print_counts(const Histogram *h) {
    const char *between = "";
    printf("[");
    for (size_t i = 0; i < BUCKETS; i++) {
        if (!h->count[i]) continue;
        printf("%s[%" PRIu64 ",%" PRIu64 "]", between, lowest(i), h->count[i]);
        between = ",";
    }
    printf("]");
}
