// The server's side of an exchange with nghttp2, as engine/crates/hg-h2/benches/exchange.rs does it with
// our codec: HEADERS in, an HTTP/1 head for an upstream made of them, HEADERS and DATA out.
//
//   codec [CPU]
//
// Bytes that a client of nghttp2 wrote are played to a new session in many short rounds, 8 requests a
// read. The CPU time of the thread counts, of the best round and of the median one. libnghttp2 is
// opened by its stable ABI, so that its headers are not needed. Prints `5 fields: N ns (median N), N
// allocations`, and the same for 19.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

enum { READS = 400, WARM = 100, ROUNDS = 200, PER_READ = 8, ROOM = 1 << 16 };
enum { HEADERS = 1, DATA_EOF = 1, END_STREAM = 1, FIELDS = 19 };

typedef struct {
    uint8_t *name, *value;
    size_t name_len, value_len;
    uint8_t flags;
} Field;

typedef struct {  // how each frame of `nghttp2_frame` begins
    size_t length;
    int32_t stream;
    uint8_t type, flags, reserved;
} FrameHead;

typedef ssize_t (*ReadBody)(void *, int32_t, uint8_t *, size_t, uint32_t *, void *, void *);

typedef struct {
    union {
        int fd;
        void *ptr;
    } source;
    ReadBody read;
} Body;

typedef struct {
    void *of;
    void *(*malloc)(size_t, void *);
    void (*free)(void *, void *);
    void *(*calloc)(size_t, size_t, void *);
    void *(*realloc)(void *, size_t, void *);
} Memory;

typedef struct {
    char head[8192];
    size_t len;
    int served;
} Exchange;

static int (*callbacks_new)(void **);
static void (*on_header)(void *, int (*)(void *, const FrameHead *, const uint8_t *, size_t,
                                         const uint8_t *, size_t, uint8_t, void *));
static void (*on_frame)(void *, int (*)(void *, const FrameHead *, void *));
static int (*server_new)(void **, void *, void *, void *, Memory *);
static int (*client_new)(void **, void *, void *);
static void (*session_del)(void *);
static int (*submit_settings)(void *, uint8_t, const void *, size_t);
static int32_t (*submit_request)(void *, const void *, const Field *, size_t, void *, void *);
static int (*submit_response)(void *, int32_t, const Field *, size_t, const Body *);
static ssize_t (*mem_recv)(void *, const uint8_t *, size_t);
static ssize_t (*mem_send)(void *, const uint8_t **);

static uint64_t allocations;
static uint8_t reads[READS][ROOM];
static size_t read_len[READS];

static void *counted_malloc(size_t size, void *of) { return allocations++, malloc(size); }
static void counted_free(void *at, void *of) { free(at); }
static void *counted_calloc(size_t n, size_t size, void *of) {
    return allocations++, calloc(n, size);
}
static void *counted_realloc(void *at, size_t size, void *of) {
    return allocations++, realloc(at, size);
}
static Memory counted = {NULL, counted_malloc, counted_free, counted_calloc, counted_realloc};

#define FIELD(name, value) \
    {(uint8_t *)(name), (uint8_t *)(value), sizeof(name) - 1, sizeof(value) - 1, 0}
static const Field REQUEST[FIELDS] = {
    FIELD(":method", "GET"),
    FIELD(":scheme", "https"),
    FIELD(":path", "/catalogue/page/3?sort=price"),
    FIELD(":authority", "shop.example.com"),
    FIELD("user-agent", "h2load nghttp2/1.52.0"),
    FIELD("cache-control", "max-age=0"),
    FIELD("sec-ch-ua",
          "\"Chromium\";v=\"130\", \"Google Chrome\";v=\"130\", \"Not?A_Brand\";v=\"99\""),
    FIELD("sec-ch-ua-mobile", "?0"),
    FIELD("sec-ch-ua-platform", "\"Linux\""),
    FIELD("upgrade-insecure-requests", "1"),
    FIELD("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
                    "image/apng,*/*;q=0.8"),
    FIELD("sec-fetch-site", "same-origin"),
    FIELD("sec-fetch-mode", "navigate"),
    FIELD("sec-fetch-user", "?1"),
    FIELD("sec-fetch-dest", "document"),
    FIELD("referer", "https://shop.example.com/catalogue/page/2"),
    FIELD("accept-encoding", "gzip, deflate, br, zstd"),
    FIELD("accept-language", "en-GB,en;q=0.9,de;q=0.8"),
    FIELD("cookie", "session=0123456789abcdef0123456789abcdef; theme=dark; consent=all"),
};
static const Field CHROME = FIELD("user-agent",
                                  "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like "
                                  "Gecko) Chrome/130.0.0.0 Safari/537.36");
static const Field ANSWER[] = {FIELD(":status", "200"), FIELD("server", "origin/1.0"),
                               FIELD("content-type", "text/plain"), FIELD("content-length", "13")};

static void text(Exchange *x, const void *bytes, size_t len) {
    if (x->len + len > sizeof x->head) abort();
    memcpy(x->head + x->len, bytes, len);
    x->len += len;
}

static int take_field(void *session, const FrameHead *frame, const uint8_t *name, size_t name_len,
                      const uint8_t *value, size_t value_len, uint8_t flags, void *user) {
    Exchange *x = user;
    if (name[0] != ':') {
        text(x, name, name_len);
        text(x, ": ", 2);
    } else if (name[1] == 'a') {
        text(x, "host: ", 6);
    } else if (name[1] == 's') {
        return 0;
    }
    text(x, value, value_len);
    if (name[0] == ':' && name[1] == 'm') text(x, " ", 1);
    else if (name[0] == ':' && name[1] == 'p') text(x, " HTTP/1.1\r\n", 11);  // before :authority
    else text(x, "\r\n", 2);
    return 0;
}

static ssize_t read_body(void *session, int32_t stream, uint8_t *to, size_t room, uint32_t *flags,
                         void *source, void *user) {
    memcpy(to, "Hello, world!", 13);
    *flags |= DATA_EOF;
    return 13;
}

static int take_frame(void *session, const FrameHead *frame, void *user) {
    Exchange *x = user;
    if (frame->type != HEADERS || !(frame->flags & END_STREAM)) return 0;
    text(x, "\r\n", 2);
    __asm__ volatile("" : : "r"(x->head) : "memory");
    x->len = 0;
    x->served++;
    Body body = {{0}, read_body};
    return submit_response(session, frame->stream, ANSWER, 4, &body);
}

static size_t take_output(void *session, uint8_t *to) {
    const uint8_t *part;
    size_t all = 0;
    for (ssize_t len; (len = mem_send(session, &part)) > 0; all += len) {
        if (all + len > ROOM) abort();
        memcpy(to + all, part, len);
    }
    return all;
}

static void serve(void *session, int at, Exchange *x, uint8_t *out) {
    if (mem_recv(session, reads[at], read_len[at]) != (ssize_t)read_len[at]) abort();
    take_output(session, out);
}

// Client and server talk for as long as it takes to record what the client says.
static void record(void *callbacks, int count) {
    static uint8_t out[ROOM];
    Exchange x = {.len = 0};
    Field fields[FIELDS];
    void *client, *server;
    memcpy(fields, REQUEST, sizeof fields);
    if (count == FIELDS) fields[4] = CHROME;
    client_new(&client, callbacks, &x);
    server_new(&server, callbacks, &x, NULL, &counted);
    submit_settings(client, 0, NULL, 0);
    submit_settings(server, 0, NULL, 0);
    for (int at = 0; at < READS; at++) {
        for (int i = 0; i < PER_READ; i++) submit_request(client, NULL, fields, count, NULL, NULL);
        read_len[at] = take_output(client, reads[at]);
        if (mem_recv(server, reads[at], read_len[at]) != (ssize_t)read_len[at]) abort();
        size_t len = take_output(server, out);
        x.len = 0;
        if (mem_recv(client, out, len) != (ssize_t)len) abort();
        x.len = 0;
    }
    if (x.served != READS * PER_READ) abort();
    session_del(client);
    session_del(server);
}

static uint64_t cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + now.tv_nsec;
}

static int by_size(const void *one, const void *other) {
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return (a > b) - (a < b);
}

static void measure(void *callbacks, int count) {
    static uint8_t out[ROOM];
    uint64_t ns[ROUNDS], most = 0;
    record(callbacks, count);
    for (int round = 0; round < ROUNDS; round++) {
        Exchange x = {.len = 0};
        void *server;
        server_new(&server, callbacks, &x, NULL, &counted);
        submit_settings(server, 0, NULL, 0);
        for (int at = 0; at < WARM; at++) serve(server, at, &x, out);
        uint64_t before = cpu_ns(), had = allocations;
        for (int at = WARM; at < READS; at++) serve(server, at, &x, out);
        ns[round] = cpu_ns() - before;
        if (allocations - had > most) most = allocations - had;
        if (x.served != READS * PER_READ) abort();
        session_del(server);
    }
    qsort(ns, ROUNDS, sizeof ns[0], by_size);
    double all = (READS - WARM) * PER_READ;
    printf("%d fields: %.0f ns (median %.0f), %.3f allocations\n", count, ns[0] / all,
           ns[ROUNDS / 2] / all, most / all);
}

static void *named(void *library, const char *name) {
    void *found = dlsym(library, name);
    if (!found) {
        fprintf(stderr, "codec: libnghttp2 has no %s\n", name);
        exit(1);
    }
    return found;
}

int main(int argc, char **argv) {
    void *library = dlopen("libnghttp2.so.14", RTLD_NOW), *callbacks;
    if (!library) {
        fprintf(stderr, "codec: %s\n", dlerror());
        return 1;
    }
    if (argc > 1) {
        cpu_set_t cpus;
        CPU_ZERO(&cpus);
        CPU_SET(atoi(argv[1]), &cpus);
        sched_setaffinity(0, sizeof cpus, &cpus);
    }
    callbacks_new = named(library, "nghttp2_session_callbacks_new");
    on_header = named(library, "nghttp2_session_callbacks_set_on_header_callback");
    on_frame = named(library, "nghttp2_session_callbacks_set_on_frame_recv_callback");
    server_new = named(library, "nghttp2_session_server_new3");
    client_new = named(library, "nghttp2_session_client_new");
    session_del = named(library, "nghttp2_session_del");
    submit_settings = named(library, "nghttp2_submit_settings");
    submit_request = named(library, "nghttp2_submit_request");
    submit_response = named(library, "nghttp2_submit_response");
    mem_recv = named(library, "nghttp2_session_mem_recv");
    mem_send = named(library, "nghttp2_session_mem_send");
    callbacks_new(&callbacks);
    on_header(callbacks, take_field);
    on_frame(callbacks, take_frame);
    measure(callbacks, 5);
    measure(callbacks, FIELDS);
    return 0;
}
