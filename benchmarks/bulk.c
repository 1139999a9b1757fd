// Moves as many bytes as it can over some connections, until standard input ends. For each line
// there it prints one JSON object: the bytes that it has received so far.
//
//   bulk up|down CONNECTIONS HOST:PORT
//
// The upstream counts those of `up` (`layer4.h`): bytes that still wait in a buffer are not there yet.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "layer4.h"

enum { EVENTS = 256, WRITE = 128 * 1024 };

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int dial(const char *host, int port, enum job job) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, host, &address.sin_addr);
    char first = job - ECHO;
    if (connect(fd, (void *)&address, sizeof address)) fail("bulk: connect");
    if (send(fd, &first, 1, MSG_NOSIGNAL) != 1) fail("bulk: send");
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

// Answers a line; 0 at the end of the input.
static int answer(uint64_t received) {
    char line[64];
    if (read(STDIN_FILENO, line, sizeof line) <= 0) return 0;
    printf("{\"bytes\":%" PRIu64 "}\n", received);
    fflush(stdout);
    return 1;
}

int main(int argc, char **argv) {
    char *colon = argc == 4 ? strrchr(argv[3], ':') : NULL;
    if (!colon) return 2;
    *colon = 0;
    static char bytes[TURN];
    enum job job = strcmp(argv[1], "up") ? SOURCE : SINK;
    uint64_t received = 0;
    int epoll = epoll_create1(0);
    struct epoll_event want = {.events = EPOLLIN, .data.fd = STDIN_FILENO}, events[EVENTS];
    epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &want);
    want.events = job == SINK ? EPOLLOUT : EPOLLIN;
    for (int i = atoi(argv[2]); i > 0; i--) {
        want.data.fd = dial(argv[3], atoi(colon + 1), job);
        epoll_ctl(epoll, EPOLL_CTL_ADD, want.data.fd, &want);
    }
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == STDIN_FILENO) {
                if (!answer(received)) return 0;
                continue;
            }
            ssize_t moved = job == SINK ? send(fd, bytes, WRITE, MSG_NOSIGNAL)
                                        : recv(fd, bytes, TURN, 0);
            if (moved == 0 || (moved < 0 && errno != EAGAIN)) fail("bulk: lost a connection");
            if (job == SOURCE && moved > 0) received += moved;
        }
    }
}
