// Load with latencies that leave nothing out: in an open loop each request is due at a time set
// beforehand, and its latency counts from then, however late it could be sent.
//
//   load [-c CONNECTIONS] [-d SECONDS] [-w SECONDS] [-r RATE] [-m http|ws|echo]
//        [-f REQUESTS] [-b BODY_BYTES] [-k] [-t] [-g GROUP] [-H] [-s FILE] HOST:PORT
//
// -r 0: closed loop, as fast as answers come. -w: so long before that, the same and not counted. -f: lines `HOST PATH`, taken in turn; `@` in a path
// becomes a number that never repeats. -m echo: no HTTP; BODY_BYTES zero bytes, which come back.
// -k: a connection of its own for each request. -t: TLS 1.3. -g: its key exchange group. -H: one request on each connection, then hold them open until
// standard input ends; `held N` is printed first. -s: a line `due_us latency_us` for each request to
// that file, for a look at when the slow ones were. Prints one JSON object.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
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
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "histogram.h"

// Requests are due every so often, as many at once as the rate makes: waking for each by itself
// costs more of the core than sending it.
enum { INPUT = 16384, EVENTS = 256, GRID_NS = 100000 };
enum state { CLOSED, CONNECTING, HANDSHAKE, UPGRADING, IDLE, SENDING, READING };

typedef struct {
    int fd, index, must_connect;
    enum state state;
    void *tls;
    uint64_t due_ns;
    char *out;
    size_t out_len, out_off, out_room;
    size_t have;       // bytes of the answer's head in `input`
    int64_t body_left; // -1 until the head is whole
    char input[INPUT];
} Conn;

static int connections = 64, tls, close_each, hold, is_ws, is_echo;
static double seconds = 2, warm_up, rate;
static size_t body_bytes;
static const char *group = "X25519", *host;
static int port, epoll;
static char **hosts, **paths;
static size_t targets, next_target;
static uint64_t unique;

static Histogram latencies, lateness;  // lateness: of sending, while a connection was free
static FILE *samples;
static uint64_t failed_connect, failed_reset, failed_short, failed_status, failed_tls;
static char last_error[160];

static Conn *conns, **idle;  // a ring: all connections have their turn
static size_t idle_first, idle_count;
static uint64_t *queue_due, queue_head, queue_tail;  // requests that wait for a connection
static size_t queue_room = 1 << 20;
static int stopping;
static uint64_t begin_ns, end_ns;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
}

// libssl by its stable ABI, so that neither headers nor the library are needed to build this.
static void *(*SSL_CTX_new_)(const void *), *(*SSL_new_)(void *);
static const void *(*TLS_client_method_)(void);
static int (*SSL_set_fd_)(void *, int), (*SSL_connect_)(void *), (*SSL_get_error_)(void *, int);
static int (*SSL_read_)(void *, void *, int), (*SSL_write_)(void *, const void *, int);
static void (*SSL_free_)(void *);
static long (*SSL_CTX_ctrl_)(void *, int, long, void *);
static void *tls_context;
enum { WANT_READ = 2, WANT_WRITE = 3, ZERO_RETURN = 6 };

static void *symbol(void *library, const char *name) {
    void *found = library ? dlsym(library, name) : NULL;
    if (!found) {
        fprintf(stderr, "load: no %s in libssl.so.3\n", name);
        exit(2);
    }
    return found;
}

static void open_tls(void) {
    void *library = dlopen("libssl.so.3", RTLD_NOW);
    SSL_CTX_new_ = symbol(library, "SSL_CTX_new");
    SSL_new_ = symbol(library, "SSL_new");
    TLS_client_method_ = symbol(library, "TLS_client_method");
    SSL_set_fd_ = symbol(library, "SSL_set_fd");
    SSL_connect_ = symbol(library, "SSL_connect");
    SSL_get_error_ = symbol(library, "SSL_get_error");
    SSL_read_ = symbol(library, "SSL_read");
    SSL_write_ = symbol(library, "SSL_write");
    SSL_free_ = symbol(library, "SSL_free");
    SSL_CTX_ctrl_ = symbol(library, "SSL_CTX_ctrl");
    tls_context = SSL_CTX_new_(TLS_client_method_());
    SSL_CTX_ctrl_(tls_context, 123 /* SET_MIN_PROTO_VERSION */, 0x304, NULL);
    if (!SSL_CTX_ctrl_(tls_context, 92 /* SET_GROUPS_LIST */, 0, (void *)group)) {
        fprintf(stderr, "load: libssl has no group %s\n", group);
        exit(2);
    }
}

// Connections.

static void drop(Conn *c) {
    if (c->tls) SSL_free_(c->tls);
    if (c->fd >= 0) close(c->fd);
    c->tls = NULL;
    c->fd = -1;
    c->state = CLOSED;
}

static void fail(Conn *c, uint64_t *counter, const char *what) {
    ++*counter;
    snprintf(last_error, sizeof last_error, "%s in state %d: %s", what, c->state, strerror(errno));
    drop(c);
}

static int dial(Conn *c) {
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) return -1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, host, &address.sin_addr);
    c->state = CONNECTING;
    if (connect(c->fd, (void *)&address, sizeof address) && errno != EINPROGRESS) return -1;
    struct epoll_event want = {.events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP, .data.ptr = c};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &want);
}

static ssize_t get(Conn *c, void *into, size_t room) {
    if (!c->tls) return recv(c->fd, into, room, 0);
    int got = SSL_read_(c->tls, into, room);
    if (got > 0) return got;
    int why = SSL_get_error_(c->tls, got);
    if (why == WANT_READ || why == WANT_WRITE) errno = EAGAIN;
    else if (why == ZERO_RETURN) return 0;
    else if (errno == 0 || errno == EAGAIN) return 0;
    return -1;
}

static ssize_t put(Conn *c, const void *from, size_t len) {
    if (!c->tls) return send(c->fd, from, len, MSG_NOSIGNAL);
    int sent = SSL_write_(c->tls, from, len);
    if (sent > 0) return sent;
    int why = SSL_get_error_(c->tls, sent);
    errno = why == WANT_READ || why == WANT_WRITE ? EAGAIN : EPIPE;
    return -1;
}

static void text(Conn *c, const char *bytes, size_t len) {
    if (c->out_len + len > c->out_room) {
        c->out_room = (c->out_len + len) * 2;
        c->out = realloc(c->out, c->out_room);
    }
    memcpy(c->out + c->out_len, bytes, len);
    c->out_len += len;
}

static void write_body(Conn *c) {
    for (size_t left = body_bytes; left;) {
        static const char filler[4096];
        size_t part = left < sizeof filler ? left : sizeof filler;
        text(c, filler, part);
        left -= part;
    }
}

static void write_request(Conn *c) {
    char head[2048], path[1024];
    if (is_echo) {
        write_body(c);
        return;
    }
    const char *wanted = paths[next_target], *at = strchr(wanted, '@');
    if (at) {
        snprintf(path, sizeof path, "%.*s%llu%s", (int)(at - wanted), wanted,
                 (unsigned long long)unique++, at + 1);
        wanted = path;
    }
    int len = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: %s\r\n%s",
                       body_bytes ? "POST" : "GET", wanted, hosts[next_target],
                       close_each ? "Connection: close\r\n" : "");
    if (body_bytes)
        len += snprintf(head + len, sizeof head - len, "Content-Length: %zu\r\n", body_bytes);
    len += snprintf(head + len, sizeof head - len, "\r\n");
    next_target = (next_target + 1) % targets;
    text(c, head, len);
    write_body(c);
}

static void write_frame(Conn *c) {
    static const char frame[] = "\x81\x8d\x01\x02\x03\x04hello, world!";  // 13 masked bytes
    text(c, frame, sizeof frame - 1);
}

static void write_upgrade(Conn *c) {
    char head[1024];
    int len = snprintf(head, sizeof head,
                       "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                       "Sec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                       paths[0], hosts[0]);
    text(c, head, len);
}

static void advance(Conn *c);

static void put_idle(Conn *c) {
    idle[(idle_first + idle_count++) % connections] = c;
}

static Conn *take_idle(void) {
    Conn *c = idle[idle_first];
    idle_first = (idle_first + 1) % connections;
    idle_count--;
    return c;
}

static void assign(Conn *c, uint64_t due) {
    c->due_ns = due;
    c->have = c->out_off = c->out_len = 0;
    c->body_left = -1;
    if (c->state == CLOSED) {
        c->must_connect = 1;
        if (dial(c)) {
            fail(c, &failed_connect, "connect");
            if (rate > 0) put_idle(c);
        }
        return;
    }
    is_ws ? write_frame(c) : write_request(c);
    c->state = SENDING;
    advance(c);
}

// A connection that has nothing to do takes the next request that is due, if any.
static void next(Conn *c) {
    if (stopping) return;
    if (hold) {
        return;
    } else if (rate == 0) {
        assign(c, now_ns());
    } else if (queue_head < queue_tail) {
        assign(c, queue_due[queue_head++ % queue_room]);
    } else {
        put_idle(c);
    }
}

// Reading answers.

static void finished(Conn *c) {
    uint64_t now = now_ns();
    if (c->due_ns >= begin_ns && now <= end_ns + 500000000u) {
        note(&latencies, now - c->due_ns);
        if (samples)
            fprintf(samples, "%" PRIu64 " %" PRIu64 "\n", (c->due_ns - begin_ns) / 1000,
                    (now - c->due_ns) / 1000);
    }
    if (close_each) drop(c);
    else c->state = IDLE;
}

static int parse_head(Conn *c) {
    char *end = memmem(c->input, c->have, "\r\n\r\n", 4);
    if (!end) return c->have == INPUT ? -1 : 0;
    end[2] = 0;
    int status = c->have > 12 ? atoi(c->input + 9) : 0;
    if (is_ws ? status != 101 : status != 200) {
        failed_status++;
        snprintf(last_error, sizeof last_error, "%.80s", c->input);
    }
    char *length = strcasestr(c->input, "\r\ncontent-length:");
    c->body_left = length ? atoll(length + 17) : 0;
    size_t used = end + 4 - c->input;
    c->body_left -= c->have - used;
    c->have = 0;
    return 1;
}

// How long an answer is that has no head; 0 of one that has.
static size_t bare_answer(const Conn *c) {
    if (is_echo) return body_bytes;
    return is_ws && c->state == READING ? 15 : 0;
}

// One whole answer: 1; 0 to wait; -1 when the connection is lost.
static int read_answer(Conn *c) {
    static char waste[262144];
    for (;;) {
        int in_body = c->body_left > 0;
        ssize_t got = in_body ? get(c, waste, sizeof waste)
                              : get(c, c->input + c->have, INPUT - c->have);
        if (got == 0) {
            errno = 0;
            return -1;
        }
        if (got < 0) return errno == EAGAIN ? 0 : -1;
        if (in_body) {
            c->body_left -= got;
        } else {
            c->have += got;
            size_t bare = bare_answer(c);
            if (bare) {
                if (c->have < bare) continue;
                c->have = 0;
                return 1;
            }
            int parsed = parse_head(c);
            if (parsed < 0) return -1;
            if (!parsed) continue;
        }
        if (c->body_left <= 0) return 1;
    }
}

static int send_rest(Conn *c) {
    while (c->out_off < c->out_len) {
        ssize_t sent = put(c, c->out + c->out_off, c->out_len - c->out_off);
        if (sent < 0) return errno == EAGAIN ? 0 : -1;
        c->out_off += sent;
    }
    return 1;
}

static int connected(Conn *c) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
        errno = error;
        return -1;
    }
    struct sockaddr_in peer;
    size = sizeof peer;
    if (getpeername(c->fd, (void *)&peer, &size)) return 0;
    if (tls) {
        c->tls = SSL_new_(tls_context);
        SSL_set_fd_(c->tls, c->fd);
    }
    c->state = tls ? HANDSHAKE : IDLE;
    return 1;
}

static int handshaken(Conn *c) {
    int done = SSL_connect_(c->tls);
    if (done == 1) {
        c->state = IDLE;
        return 1;
    }
    int why = SSL_get_error_(c->tls, done);
    return why == WANT_READ || why == WANT_WRITE ? 0 : -1;
}

// Sends what was given to it after it connected.
static void begin(Conn *c) {
    c->must_connect = 0;
    c->out_off = c->out_len = 0;
    if (is_ws) {
        c->have = 0;
        c->body_left = -1;
        write_upgrade(c);
        c->state = UPGRADING;
        return;
    }
    write_request(c);
    c->state = SENDING;
}

// Moves a connection as far as it goes without waiting.
static void advance(Conn *c) {
    for (;;) {
        int done = 1;
        uint64_t *counter = &failed_reset;
        switch (c->state) {
        case CLOSED:
            return;
        case CONNECTING:
            done = connected(c);
            counter = &failed_connect;
            break;
        case HANDSHAKE:
            done = handshaken(c);
            counter = &failed_tls;
            break;
        case IDLE:
            if (!c->must_connect) return;
            begin(c);
            break;
        case UPGRADING:
            done = send_rest(c);
            if (done > 0) done = read_answer(c);
            if (done > 0) {
                c->out_off = c->out_len = c->have = 0;
                c->due_ns = now_ns();
                write_frame(c);
                c->state = SENDING;
            }
            break;
        case SENDING:
            done = send_rest(c);
            if (done > 0) c->state = READING;
            break;
        case READING:
            done = read_answer(c);
            if (done < 0 && errno == 0) counter = &failed_short;
            if (done > 0) {
                finished(c);
                next(c);
                return;
            }
            break;
        }
        if (done == 0) return;
        if (done < 0) {
            fail(c, counter, "lost");
            next(c);
            return;
        }
    }
}

static void idle_event(Conn *c) {
    // Nothing is expected: the peer has hung up. It is dialled again when it is needed.
    char byte;
    ssize_t got = get(c, &byte, 1);
    if (got == 0 || (got < 0 && errno != EAGAIN)) drop(c);
}

// The loop.

static uint64_t on_grid(uint64_t ns) {
    return (ns + GRID_NS - 1) / GRID_NS * GRID_NS;
}

static void due(uint64_t now, uint64_t *next_due, double *fraction) {
    double interval = 1e9 / rate;
    while (on_grid(*next_due) <= now && *next_due < end_ns) {
        if (queue_tail - queue_head < queue_room)
            queue_due[queue_tail++ % queue_room] = on_grid(*next_due);
        *fraction += interval;
        *next_due += (uint64_t)*fraction;
        *fraction -= (uint64_t)*fraction;
    }
    while (idle_count && queue_head < queue_tail) {
        uint64_t due_ns = queue_due[queue_head++ % queue_room];
        if (due_ns >= begin_ns) note(&lateness, now_ns() - due_ns);
        assign(take_idle(), due_ns);
    }
}

static void wait_events(int64_t timeout_ns) {
    struct epoll_event events[EVENTS];
    struct timespec limit = {timeout_ns / 1000000000, timeout_ns % 1000000000};
    int count = epoll_pwait2(epoll, events, EVENTS, &limit, NULL);
    for (int i = 0; i < count; i++) {
        Conn *c = events[i].data.ptr;
        if (c->state == IDLE) idle_event(c);
        else advance(c);
    }
}

static void run(void) {
    uint64_t next_due = now_ns();
    begin_ns = next_due + warm_up * 1e9;
    end_ns = begin_ns + seconds * 1e9;
    double fraction = 0;
    for (int i = 0; i < connections; i++) {
        if (rate == 0) assign(&conns[i], next_due);
        else put_idle(&conns[i]);
    }
    for (;;) {
        uint64_t now = now_ns();
        if (now >= end_ns) break;
        uint64_t until = end_ns;
        if (rate > 0) {
            due(now, &next_due, &fraction);
            if (on_grid(next_due) < until) until = on_grid(next_due);
        }
        now = now_ns();
        wait_events(until > now ? until - now : 0);
    }
    stopping = 1;
    // What is in flight may finish, for half a second.
    while (now_ns() < end_ns + 500000000u && rate > 0) {
        int busy = 0;
        for (int i = 0; i < connections; i++) busy |= conns[i].state >= SENDING;
        if (!busy) break;
        wait_events(1000000);
    }
}

static void run_hold(void) {
    begin_ns = now_ns();
    end_ns = begin_ns + 600000000000u;
    int window = 0, started = 0, held = 0;
    while (held < connections && now_ns() < begin_ns + 120000000000u) {
        window = 0;
        held = 0;
        for (int i = 0; i < started; i++) {
            held += conns[i].state == IDLE;
            window += conns[i].state != IDLE && conns[i].state != CLOSED;
        }
        if (started == connections && !window) break;
        for (; started < connections && window < 64; started++, window++)
            assign(&conns[started], now_ns());
        wait_events(1000000);
    }
    printf("held %d\n", held);
    fflush(stdout);
    char byte;
    while (read(0, &byte, 1) > 0) continue;
    held = 0;
    wait_events(0);
    for (int i = 0; i < connections; i++) held += conns[i].state == IDLE;
    printf("{\"held\":%d,\"error\":\"%s\"}\n", held, last_error);
}

static void report(double took) {
    for (char *p = last_error; *p; p++)
        if (*p == '"' || *p == '\\' || *p < ' ') *p = ' ';
    const Histogram *h = &latencies;
    printf("{\"requests\":%" PRIu64 ",\"seconds\":%.6f,\"p50\":%" PRIu64 ",\"p99\":%" PRIu64
           ",\"p999\":%" PRIu64 ",\"max\":%" PRIu64 ",\"mean\":%.1f,\"late_p99\":%" PRIu64,
           h->total, took, quantile(h, .5), quantile(h, .99), quantile(h, .999), h->most,
           h->total ? (double)h->sum / h->total : 0.0, quantile(&lateness, .99));
    printf(",\"connect\":%" PRIu64 ",\"tls\":%" PRIu64 ",\"reset\":%" PRIu64 ",\"short\":%" PRIu64
           ",\"status\":%" PRIu64 ",\"unsent\":%" PRIu64 ",\"error\":\"%s\",\"counts\":",
           failed_connect, failed_tls, failed_reset, failed_short, failed_status,
           queue_tail - queue_head, last_error);
    print_counts(h);
    printf("}\n");
}

static void read_targets(const char *file) {
    FILE *in = file ? fopen(file, "r") : NULL;
    char line[4096], one_host[1024], one_path[1024];
    size_t room = 16;
    hosts = malloc(room * sizeof *hosts);
    paths = malloc(room * sizeof *paths);
    while (in && fgets(line, sizeof line, in)) {
        if (sscanf(line, "%1023s %1023s", one_host, one_path) != 2) continue;
        if (targets == room) {
            room *= 2;
            hosts = realloc(hosts, room * sizeof *hosts);
            paths = realloc(paths, room * sizeof *paths);
        }
        hosts[targets] = strdup(one_host);
        paths[targets++] = strdup(one_path);
    }
    if (!targets) {
        hosts[0] = "bench.example";
        paths[0] = is_ws ? "/ws" : "/b/13";
        targets = 1;
    }
}

int main(int argc, char **argv) {
    const char *file = NULL;
    for (int option; (option = getopt(argc, argv, "c:d:w:r:m:f:b:g:s:ktH")) != -1;) switch (option) {
        case 'c': connections = atoi(optarg); break;
        case 'd': seconds = atof(optarg); break;
        case 'w': warm_up = atof(optarg); break;
        case 'r': rate = atof(optarg); break;
        case 'm':
            is_ws = !strcmp(optarg, "ws");
            is_echo = !strcmp(optarg, "echo");
            break;
        case 'f': file = optarg; break;
        case 'b': body_bytes = strtoul(optarg, NULL, 10); break;
        case 'g': group = optarg; break;
        case 's': samples = fopen(optarg, "w"); break;
        case 'k': close_each = 1; break;
        case 't': tls = 1; break;
        case 'H': hold = 1; break;
        default: return 2;
        }
    char *colon = optind < argc ? strrchr(argv[optind], ':') : NULL;
    if (!colon) return 2;
    *colon = 0;
    host = argv[optind];
    port = atoi(colon + 1);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    if (is_echo && (!body_bytes || body_bytes > INPUT)) return 2;
    read_targets(file);
    if (tls) open_tls();
    epoll = epoll_create1(0);
    conns = calloc(connections, sizeof *conns);
    idle = calloc(connections, sizeof(Conn *));
    queue_due = malloc(queue_room * sizeof *queue_due);
    for (int i = 0; i < connections; i++) conns[i].fd = -1;
    if (hold) {
        run_hold();
        return 0;
    }
    run();
    report(seconds);
    return 0;
}
