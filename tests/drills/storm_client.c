// A keep-alive client at full load that says of every failure when and what it was.
//
//   storm_client CONNECTIONS SECONDS HOST PORT
//
// SIGTERM ends it earlier. Prints a JSON line for each of the first 2,000 failures and one for the whole at the end. A
// connection that the server ends after announcing it, or while nothing is asked for on it, is not
// a failure. Kinds: refused, connect (other), reset, closed (no byte of an answer), short (an
// answer cut), status (not 200), garbage, hung (no answer for 10 s).
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
#include <time.h>
#include <unistd.h>

enum { INPUT = 16384, EVENTS = 256, SHOWN = 2000 };
enum state { CONNECTING, SENDING, READING };

typedef struct {
    int fd;
    enum state state;
    int reused;   // answers on this connection so far
    double sent;  // when the request began
    size_t out, have;
    char input[INPUT];
} Conn;

static const char *host;
static int port, epoll, shown;
static char request[256];
static size_t request_len;
static uint64_t answers, connects, closes, failures;
static double end, worst;
static volatile sig_atomic_t stopped;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void stop(int number) { stopped = number; }

static int is_over(void) { return stopped || now() >= end; }

static void start(Conn *c);

static void fail(Conn *c, const char *kind, int status) {
    failures++;
    if (shown++ < SHOWN) {
        char detail[160] = "";
        char *found = c->have ? strcasestr(c->input, "\r\nproxy-status:") : NULL;
        if (found) sscanf(found + 15, " %150[^\r\n]", detail);
        for (char *p = detail; *p; p++)
            if (*p == '"' || *p == '\\') *p = '\'';
        printf("{\"at\":%.6f,\"began\":%.6f,\"kind\":\"%s\",\"status\":%d,\"reused\":%d,"
               "\"detail\":\"%s\"}\n",
               now(), c->sent, kind, status, c->reused, detail);
        fflush(stdout);
    }
}

static void again(Conn *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    if (!is_over()) start(c);
}

static void lost(Conn *c, const char *kind, int status) {
    fail(c, kind, status);
    again(c);
}

static void start(Conn *c) {
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, host, &address.sin_addr);
    c->state = CONNECTING;
    c->reused = 0;
    c->have = c->out = 0;
    c->sent = now();
    connects++;
    if (connect(c->fd, (void *)&address, sizeof address) && errno != EINPROGRESS) {
        fail(c, errno == ECONNREFUSED ? "refused" : "connect", 0);
        close(c->fd);
        c->fd = -1;  // tried again by the sweep, so that a dead proxy is not hammered
        return;
    }
    struct epoll_event want = {.events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP, .data.ptr = c};
    epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &want);
}

static void ask(Conn *c) {
    c->state = SENDING;
    c->out = c->have = 0;
    c->sent = now();
}

// One whole answer in the buffer: 1 to keep the connection, 2 to close it, 0 to wait, -1 garbage.
static int parse(Conn *c, int *status) {
    c->input[c->have < INPUT ? c->have : INPUT - 1] = 0;
    char *head_end = strstr(c->input, "\r\n\r\n");
    if (!head_end) return c->have >= INPUT - 1 ? -1 : 0;
    if (sscanf(c->input, "HTTP/1.1 %d", status) != 1) return -1;
    char *length = strcasestr(c->input, "\r\ncontent-length:");
    if (!length || length > head_end) return -1;
    size_t whole = head_end + 4 - c->input + strtoul(length + 17, NULL, 10);
    if (c->have < whole) return 0;
    if (c->have > whole) return -1;
    char *closing = strcasestr(c->input, "\r\nconnection: close");
    return closing && closing < head_end ? 2 : 1;
}

static void take(Conn *c, int keep, int status) {
    double took = now() - c->sent;
    if (took > worst) worst = took;
    answers++;
    c->reused++;
    if (status != 200) fail(c, "status", status);
    if (keep == 2) {
        closes++;
        again(c);
    } else {
        ask(c);
    }
}

static void advance(Conn *c) {
    for (;;) {
        if (c->fd < 0 || is_over()) return;
        if (c->state == CONNECTING) {
            int error = 0;
            socklen_t size = sizeof error;
            struct sockaddr_in peer;
            getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
            if (error) return lost(c, error == ECONNREFUSED ? "refused" : "connect", 0);
            size = sizeof peer;
            if (getpeername(c->fd, (void *)&peer, &size)) return;
            ask(c);
        }
        if (c->state == SENDING) {
            ssize_t sent = send(c->fd, request + c->out, request_len - c->out, MSG_NOSIGNAL);
            if (sent < 0 && errno == EAGAIN) return;
            if (sent < 0) return lost(c, errno == EPIPE ? "closed" : "reset", 0);
            c->out += sent;
            if (c->out < request_len) continue;
            c->state = READING;
        }
        ssize_t got = recv(c->fd, c->input + c->have, INPUT - 1 - c->have, 0);
        if (got < 0 && errno == EAGAIN) return;
        if (got < 0) return lost(c, "reset", 0);
        if (got == 0) return lost(c, c->have ? "short" : "closed", 0);
        c->have += got;
        int status = 0, keep = parse(c, &status);
        if (keep < 0) return lost(c, "garbage", status);
        if (keep > 0) take(c, keep, status);
    }
}

static void sweep(Conn *conns, int count) {
    double time = now();
    for (int i = 0; i < count; i++) {
        if (conns[i].fd < 0) start(&conns[i]);
        else if (time - conns[i].sent > 10) lost(&conns[i], "hung", 0);
    }
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    int count = atoi(argv[1]);
    double seconds = atof(argv[2]), began = now(), next_sweep = began + 0.05;
    host = argv[3];
    port = atoi(argv[4]);
    end = began + seconds;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, stop);
    request_len = snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: storm.example\r\n\r\n");
    epoll = epoll_create1(0);
    Conn *conns = calloc(count, sizeof *conns);
    for (int i = 0; i < count; i++) start(&conns[i]);
    while (!is_over()) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, 20);
        for (int i = 0; i < ready; i++) advance(events[i].data.ptr);
        if (now() >= next_sweep) {
            sweep(conns, count);
            next_sweep = now() + 0.05;
        }
    }
    printf("{\"answers\":%llu,\"seconds\":%.3f,\"connects\":%llu,\"closes\":%llu,"
           "\"failures\":%llu,\"worst_ms\":%.1f}\n",
           (unsigned long long)answers, seconds, (unsigned long long)connects,
           (unsigned long long)closes, (unsigned long long)failures, worst * 1000);
    return 0;
}
