// Datagrams of many flows, so many under way at a time; each has to come back as it was, to the
// address that it was sent from. Runs until standard input ends. For each line there it prints one
// JSON object: how many came back so far, how many were lost or wrong, and quantiles of the latencies
// since the last line.
//
//   datagrams FLOWS UNDER_WAY SIZE HOST:PORT
//
// Flows are loopback addresses with the port of one socket, so that one batch carries datagrams of
// many flows: a socket for each would cost this side more than the proxy's flows cost it.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "layer4.h"

#include "histogram.h"

enum { MOST_UNDER_WAY = 1024, LEAST_SIZE = 16, OVERDUE_NS = 500000000, LOOK_MS = 50 };
enum { FIRST_FLOW = 0x7f010001 };  // 127.1.0.1

typedef struct {
    uint64_t number, sent_ns;
    uint32_t flow;
} Slot;

typedef struct {
    uint32_t slot, flow;
    uint64_t number;
} Mark;  // what a datagram begins with

static Slot slots[MOST_UNDER_WAY];
static uint32_t waiting[MOST_UNDER_WAY];  // slots that are free
static size_t waits;
static uint32_t flows, under_way, next_flow;
static size_t size;
static uint64_t next_number, came, lost, wrong;
static Histogram latencies;
static struct sockaddr_in proxy;
static int fd;

static char bytes[DATAGRAMS][DATAGRAM], controls[DATAGRAMS][CMSG_SPACE(sizeof(struct in_pktinfo))];
static struct iovec parts[DATAGRAMS];
static struct mmsghdr batch[DATAGRAMS];

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
}

static void prepare(int i, size_t length, struct sockaddr_in *name) {
    parts[i] = (struct iovec){bytes[i], length};
    batch[i].msg_hdr = (struct msghdr){.msg_name = name,
                                       .msg_namelen = name ? sizeof *name : 0,
                                       .msg_iov = &parts[i],
                                       .msg_iovlen = 1,
                                       .msg_control = controls[i],
                                       .msg_controllen = sizeof controls[i]};
}

static void from_address(int i, uint32_t address) {
    struct cmsghdr *head = CMSG_FIRSTHDR(&batch[i].msg_hdr);
    *head = (struct cmsghdr){.cmsg_level = IPPROTO_IP,
                             .cmsg_type = IP_PKTINFO,
                             .cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo))};
    struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl(address)};
    memcpy(CMSG_DATA(head), &info, sizeof info);
}

static uint32_t to_address(int i) {
    struct cmsghdr *head = CMSG_FIRSTHDR(&batch[i].msg_hdr);
    struct in_pktinfo info = {0};
    if (head && head->cmsg_type == IP_PKTINFO) memcpy(&info, CMSG_DATA(head), sizeof info);
    return ntohl(info.ipi_addr.s_addr);
}

// Gives each free slot a datagram of the next flow.
static void send_all(void) {
    while (waits) {
        int count = 0;
        uint64_t now = now_ns();
        for (; waits && count < DATAGRAMS; count++) {
            uint32_t at = waiting[--waits];
            slots[at] = (Slot){next_number++, now, next_flow};
            next_flow = (next_flow + 1) % flows;
            Mark mark = {at, slots[at].flow, slots[at].number};
            prepare(count, size, &proxy);
            from_address(count, FIRST_FLOW + mark.flow);
            memcpy(bytes[count], &mark, sizeof mark);
        }
        // What the kernel does not take now is overdue later, and sent again.
        sendmmsg(fd, batch, count, 0);
    }
}

static void take(int i, uint64_t now) {
    Mark mark;
    memcpy(&mark, bytes[i], sizeof mark);
    Slot *slot = &slots[mark.slot % MOST_UNDER_WAY];
    if (batch[i].msg_len != size || mark.flow >= flows || to_address(i) != FIRST_FLOW + mark.flow) {
        wrong++;
    } else if (slot->sent_ns && slot->number == mark.number) {
        came++;
        note(&latencies, now - slot->sent_ns);
        slot->sent_ns = 0;
        waiting[waits++] = mark.slot;
    }  // else it comes too late: it was counted as lost
}

static void receive_all(void) {
    int count = DATAGRAMS;
    while (count == DATAGRAMS) {
        for (int i = 0; i < DATAGRAMS; i++) prepare(i, DATAGRAM, NULL);
        count = recvmmsg(fd, batch, DATAGRAMS, 0, NULL);
        uint64_t now = now_ns();
        for (int i = 0; i < count; i++) take(i, now);
        send_all();
    }
}

static void give_up_overdue(void) {
    static uint64_t looked_ns;
    uint64_t now = now_ns();
    if (now - looked_ns < LOOK_MS * 1000000u) return;
    looked_ns = now;
    for (uint32_t i = 0; i < under_way; i++) {
        if (!slots[i].sent_ns || now - slots[i].sent_ns < OVERDUE_NS) continue;
        lost++;
        slots[i].sent_ns = 0;
        waiting[waits++] = i;
    }
    send_all();
}

// Answers a line; 0 at the end of the input.
static int answer(void) {
    char line[64];
    if (read(STDIN_FILENO, line, sizeof line) <= 0) return 0;
    printf("{\"came\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"wrong\":%" PRIu64 ",\"p50\":%" PRIu64
           ",\"p99\":%" PRIu64 "}\n",
           came, lost, wrong, quantile(&latencies, .5), quantile(&latencies, .99));
    fflush(stdout);
    memset(&latencies, 0, sizeof latencies);
    return 1;
}

int main(int argc, char **argv) {
    char *colon = argc == 5 ? strrchr(argv[4], ':') : NULL;
    if (!colon) return 2;
    *colon = 0;
    flows = atoi(argv[1]);
    under_way = atoi(argv[2]);
    size = atoi(argv[3]);
    if (!flows || flows > 60000 || !under_way || under_way > MOST_UNDER_WAY) return 2;
    if (size < LEAST_SIZE || size > DATAGRAM) return 2;
    proxy = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(atoi(colon + 1))};
    inet_pton(AF_INET, argv[4], &proxy.sin_addr);
    int on = 1, epoll = epoll_create1(0);
    fd = datagram_socket(0);
    setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
    struct epoll_event want = {.events = EPOLLIN, .data.fd = fd}, events[2];
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &want);
    want.data.fd = STDIN_FILENO;
    epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &want);
    while (waits < under_way) {
        waiting[waits] = waits;
        waits++;
    }
    send_all();
    for (;;) {
        int count = epoll_wait(epoll, events, 2, LOOK_MS);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == fd) receive_all();
            else if (!answer()) return 0;
        }
        give_up_overdue();
    }
}
