// What the upstream does for layer 4. The first byte of a connection says which job it has:
//
//   0  ECHO    everything comes back, this byte too
//   1  SINK    what comes is thrown away and counted
//   2  SOURCE  it sends as much as the connection takes
//   3  TELL    it says in decimal how many bytes all sinks have thrown away, and hangs up
//
// Connections with much to move are level-triggered and do one call in a turn, so that each has its
// share. A program includes this once.
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum job { UNKNOWN, HTTP, ECHO, SINK, SOURCE, TELL };
enum { TURN = 256 * 1024, DATAGRAMS = 64, DATAGRAM = 2048, SOCKET_BUFFER = 4 << 20 };

static uint64_t swallowed;

static enum job job_of(unsigned char first) {
    return first <= TELL - ECHO ? (enum job)(ECHO + first) : HTTP;
}

static int is_bulk(enum job job) {
    return job == SINK || job == SOURCE;
}

// Makes a connection level-triggered; 0, or -1 when it cannot be done.
static int begin_bulk(enum job job, int fd, void *conn, int epoll) {
    struct epoll_event want = {.events = job == SINK ? EPOLLIN : EPOLLOUT, .data.ptr = conn};
    return epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &want);
}

// One call: 0, or -1 when the connection is over. `filler` has at least TURN bytes.
static int move_bulk(enum job job, int fd, const char *filler) {
    static char waste[TURN];
    ssize_t moved = job == SINK ? recv(fd, waste, TURN, 0) : send(fd, filler, TURN, MSG_NOSIGNAL);
    if (job == SINK && moved > 0) swallowed += moved;
    if (moved > 0) return 0;
    return moved < 0 && errno == EAGAIN ? 0 : -1;
}

// A socket for datagrams with room for many; it is bound to loopback's port, or to any on port 0.
static int datagram_socket(int port) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), size = SOCKET_BUFFER;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size))
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(port ? INADDR_LOOPBACK : INADDR_ANY)};
    if (bind(fd, (void *)&address, sizeof address)) {
        perror("datagrams");
        exit(1);
    }
    return fd;
}

// Sends back what waits, a batch in a turn.
static void echo_datagrams(int fd) {
    static char bytes[DATAGRAMS][DATAGRAM];
    static struct sockaddr_in from[DATAGRAMS];
    struct iovec parts[DATAGRAMS];
    struct mmsghdr batch[DATAGRAMS];
    for (int i = 0; i < DATAGRAMS; i++) {
        parts[i] = (struct iovec){bytes[i], DATAGRAM};
        batch[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &from[i],
                                                .msg_namelen = sizeof from[i],
                                                .msg_iov = &parts[i],
                                                .msg_iovlen = 1}};
    }
    int count = recvmmsg(fd, batch, DATAGRAMS, 0, NULL);
    for (int i = 0; i < count; i++) parts[i].iov_len = batch[i].msg_len;
    if (count > 0) sendmmsg(fd, batch, count, 0);
}
