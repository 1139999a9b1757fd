// The upstream of every benchmark: HTTP/1.1, one thread, epoll, edge-triggered. Connections that begin
// with the preface of HTTP/2 speak that (h2answer.h).
//
//   backend PORT
//
// GET /…/b/N answers N bytes (at most 1 MiB; 13 without /b/N), GET /…/j/N the first N bytes of a list
// of records in JSON. A request body is read and thrown away, so it can stand for a collector of spans
// and for a service that lets everybody in. A WebSocket upgrade with the key of RFC 6455 §1.3 is taken
// and its frames are echoed. A connection whose first byte is none of HTTP is told by it what to do
// (`layer4.h`), and datagrams to the same port are echoed.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "layer4.h"
#include "h2answer.h"

enum { INPUT = 65536, LARGEST = 1 << 20, EVENTS = 256 };

typedef struct {
    int fd;
    enum job job;     // by its first byte; UNKNOWN before that
    int is_websocket;
    int is_http2;
    int is_due;       // a request was taken and not answered
    size_t answer;    // bytes it asked for
    size_t have;      // bytes in `input`
    size_t skip;      // bytes of a request body still to come
    size_t body;      // bytes of the answer's body still to send
    const char *content;  // where the whole body is
    size_t head_off;  // sent bytes of `head`
    size_t head_len;
    H2 http2;
    char head[INPUT + 16];
    char input[INPUT];  // untouched pages cost nothing
} Conn;

static char *filler, *json;
static int epoll;

static int flush(Conn *c) {
    while (c->head_off < c->head_len || c->body) {
        struct iovec parts[2];
        int count = 0;
        if (c->head_off < c->head_len)
            parts[count++] = (struct iovec){c->head + c->head_off, c->head_len - c->head_off};
        if (c->body) parts[count++] = (struct iovec){(char *)c->content + c->answer - c->body, c->body};
        ssize_t sent = writev(c->fd, parts, count);
        if (sent < 0) return errno == EAGAIN ? 0 : -1;
        size_t of_head = c->head_len - c->head_off;
        if ((size_t)sent < of_head) {
            c->head_off += sent;
        } else {
            c->head_off = c->head_len;
            c->body -= sent - of_head;
        }
    }
    return 1;
}

static void consume(Conn *c, size_t used) {
    memmove(c->input, c->input + used, c->have - used);
    c->have -= used;
}

static const char *header(const char *head, const char *end, const char *name) {
    size_t len = strlen(name);
    for (const char *line = head; line && line < end;) {
        line = memmem(line, end - line, "\r\n", 2);
        if (!line) break;
        line += 2;
        if ((size_t)(end - line) > len && line[len] == ':' && !strncasecmp(line, name, len))
            return line + len + 1;
    }
    return NULL;
}

// Takes one request head: 1, or 0 when it is not whole. The answer waits for the request's body.
static int take_request(Conn *c) {
    char *end = memmem(c->input, c->have, "\r\n\r\n", 4);
    if (!end) return 0;
    end += 4;
    const char *length = header(c->input, end, "content-length");
    c->skip = length ? strtoul(length, NULL, 10) : 0;
    c->is_websocket = header(c->input, end, "upgrade") != NULL;
    c->is_due = 1;
    c->answer = 13;
    char *line = memmem(c->input, end - c->input, "\r\n", 2);
    c->content = filler;
    char *ask = memmem(c->input, line - c->input, "/b/", 3);
    if (!ask && (ask = memmem(c->input, line - c->input, "/j/", 3))) c->content = json;
    if (ask) c->answer = strtoul(ask + 3, NULL, 10);
    if (c->answer > LARGEST) c->answer = LARGEST;
    consume(c, end - c->input);
    return 1;
}

static void answer(Conn *c) {
    c->is_due = 0;
    c->head_off = 0;
    c->body = c->is_websocket ? 0 : c->answer;
    if (c->is_websocket)
        c->head_len = snprintf(c->head, sizeof c->head,
                               "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                               "Connection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
    else
        c->head_len = snprintf(c->head, sizeof c->head,
                               "HTTP/1.1 200 OK\r\nServer: backend\r\n"
                               "Date: Fri, 20 Nov 2026 06:30:00 GMT\r\nContent-Type: %s\r\n"
                               "Content-Length: %zu\r\n\r\n",
                               c->content == json ? "application/json" : "text/plain", c->body);
}

// Echoes one masked frame of at most 65,535 bytes: 1, 0 when it is not whole, -1 to hang up.
static int take_frame(Conn *c) {
    unsigned char *in = (unsigned char *)c->input;
    if (c->have < 2) return 0;
    size_t size = in[1] & 0x7f, at = 2;
    if (size == 126) {
        if (c->have < 4) return 0;
        size = in[2] << 8 | in[3];
        at = 4;
    } else if (size == 127) {
        return -1;
    }
    if (!(in[1] & 0x80) || at + 4 + size > INPUT) return -1;
    if (c->have < at + 4 + size) return 0;
    if ((in[0] & 0x0f) == 8) return -1;
    memcpy(c->head, in, at);
    c->head[1] &= 0x7f;
    for (size_t i = 0; i < size; i++) c->head[at + i] = in[at + 4 + i] ^ in[at + (i & 3)];
    c->head_off = 0;
    c->head_len = at + size;
    consume(c, at + 4 + size);
    return 1;
}

// Does the job of a connection that is not HTTP with what was read: 1 to go on, 0 to wait, -1 to hang up.
static int take_job(Conn *c) {
    if (c->job == ECHO) {
        memcpy(c->head, c->input, c->have);
        c->head_off = 0;
        c->head_len = c->have;
        c->have = 0;
        return 1;
    }
    if (c->job == TELL) {
        c->head_off = 0;
        c->head_len = sprintf(c->head, "%" PRIu64 "\n", swallowed);
        return flush(c) ? -1 : 0;
    }
    return begin_bulk(c->job, c->fd, c, epoll);
}

// Reads more: 1, 0 when nothing is there, -1 when the connection is over.
static int fill(Conn *c) {
    if (c->have == INPUT) return -1;
    ssize_t got = recv(c->fd, c->input + c->have, INPUT - c->have, 0);
    if (got == 0) return -1;
    if (got < 0) return errno == EAGAIN ? 0 : -1;
    c->have += got;
    return 1;
}

// As work(): what one read brought is answered by one write.
static int work_http2(Conn *c) {
    for (;;) {
        int done = flush(c);
        if (done <= 0) return done;
        H2Out out = {(unsigned char *)c->head, 0, sizeof c->head};
        ssize_t used = h2_take(&c->http2, &out, (unsigned char *)c->input, c->have);
        if (used < 0) return -1;
        consume(c, used);
        c->head_off = 0;
        c->head_len = out.len;
        if (out.len) continue;
        int got = fill(c);
        if (got <= 0) return got;
    }
}

// Whether this is a connection of HTTP/2, as far as its first bytes say: 1, 0, -1 = not known yet.
static int speaks_http2(const Conn *c) {
    if (c->is_http2 || c->is_due || c->skip) return c->is_http2;
    if (c->have < 4 || memcmp(c->input, "PRI ", 4)) return 0;
    return c->have < H2_PREFACE ? -1 : 1;
}

// Does what can be done without waiting; -1 when the connection is over.
static int work(Conn *c) {
    for (;;) {
        int http2 = speaks_http2(c);
        if (http2 > 0) {
            c->is_http2 = 1;
            return work_http2(c);
        }
        int done = flush(c);
        if (done <= 0) return done;
        if (c->have && !c->job) c->job = job_of(c->input[0]);
        if (c->have && c->job != HTTP) {
            done = take_job(c);
            if (done <= 0) return done;
            continue;
        }
        if (c->skip && c->have) {
            size_t used = c->have < c->skip ? c->have : c->skip;
            consume(c, used);
            c->skip -= used;
        }
        if (c->is_due && !c->skip) {
            answer(c);
            continue;
        }
        if (!c->is_due && c->have && !http2) {
            int took = c->is_websocket ? take_frame(c) : take_request(c);
            if (took < 0) return -1;
            if (took) continue;
        }
        int got = fill(c);
        if (got <= 0) return got;
    }
}

static int listener(int port) {
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(fd, (void *)&address, sizeof address) || listen(fd, 4096)) {
        perror("backend");
        exit(1);
    }
    return fd;
}

static void accept_all(int door) {
    int one = 1, fd;
    while ((fd = accept4(door, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        Conn *c = calloc(1, sizeof *c);
        c->fd = fd;
        struct epoll_event want = {.events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP,
                                   .data.ptr = c};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &want);
    }
}

static void hang_up(Conn *c) {
    close(c->fd);
    free(c);
}

static unsigned next(unsigned below) {
    static uint32_t state = 1;  // the same numbers in every run
    state = state * 1664525 + 1013904223;
    return (state >> 8) % below;
}

// Records as an API lists them: names that repeat, words of a vocabulary, numbers that are chance.
static void make_json(void) {
    static const char *word[] = {
        "amber", "basin", "cedar", "delta", "ember", "fjord", "grove", "harbor",
        "island", "juniper", "kettle", "lantern", "meadow", "nectar", "orchard", "pebble",
        "quarry", "ridge", "saddle", "timber", "umbrella", "velvet", "willow", "yarrow",
    };
    const unsigned words = sizeof word / sizeof *word, most = 512;
    json = malloc(LARGEST + most);
    size_t at = 0;
    json[at++] = '[';
    for (unsigned id = 1; at < LARGEST; id++)
        at += snprintf(json + at, most,
                       "{\"id\":%u,\"sku\":\"%06x-%04x\",\"name\":\"%s %s\",\"price\":%u.%02u,"
                       "\"in_stock\":%s,\"tags\":[\"%s\",\"%s\"],\"rating\":%u.%u,"
                       "\"updated_at\":\"2026-%02u-%02uT%02u:%02u:%02uZ\"},",
                       100000 + id * 7, next(1 << 24), next(1 << 16), word[next(words)],
                       word[next(words)], next(500), next(100), next(4) ? "true" : "false",
                       word[next(words)], word[next(words)], next(5), next(10), 1 + next(12),
                       1 + next(28), next(24), next(60), next(60));
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    signal(SIGPIPE, SIG_IGN);
    filler = malloc(LARGEST);
    memset(filler, 'x', LARGEST);
    make_json();
    int door = listener(atoi(argv[1])), mailbox = datagram_socket(atoi(argv[1]));
    epoll = epoll_create1(0);
    struct epoll_event want = {.events = EPOLLIN}, events[EVENTS];
    epoll_ctl(epoll, EPOLL_CTL_ADD, door, &want);
    want.data.ptr = &mailbox;
    epoll_ctl(epoll, EPOLL_CTL_ADD, mailbox, &want);
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            Conn *c = events[i].data.ptr;
            if (!c) {
                accept_all(door);
            } else if (events[i].data.ptr == &mailbox) {
                echo_datagrams(mailbox);
            } else if (is_bulk(c->job)) {
                if (move_bulk(c->job, c->fd, filler) < 0) hang_up(c);
            } else if (!(events[i].events & ~EPOLLOUT) && !c->body && c->head_off == c->head_len) {
                continue;  // room to write, and nothing to write
            } else if (work(c) < 0) {
                hang_up(c);
            }
        }
    }
}
