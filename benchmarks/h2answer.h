// HTTP/2 of the upstream (RFC 9113, RFC 7541), for connections that begin with its preface.
//
// Every answer is made of constant bytes and no head is decoded, so that the upstream costs next to
// nothing beside any proxy. A request without a body gets 200 and 13 bytes; one with a body is taken
// for a unary call of gRPC and gets a message of 13 bytes, and `grpc-status: 0` in trailers. As those
// of other servers, fields of answers go into the table of the connection, unless the peer wants a
// smaller table than the usual one. The windows of streams are never full: answers are small.
#include <stdint.h>
#include <string.h>

enum { H2_PREFACE = 24, H2_HEAD = 9, H2_LARGEST = 16384, H2_STREAMS = 256, H2_ANSWER = 256 };
enum { DATA, HEADERS, PRIORITY, RESET, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };
enum { TABLE_SIZE = 1, MOST_STREAMS = 3, INITIAL_WINDOW = 4, USUAL_TABLE = 4096 };

typedef struct {
    uint32_t stream;
    int is_call;
} H2Due;

typedef struct {
    int is_greeted;
    int is_literal;     // the peer's table is too small
    int must_resize;    // and has not been told that ours is empty
    int kind;           // 1 + is_call of the answers whose fields are in the table; 0 = none yet
    uint32_t last;      // the highest stream so far
    H2Due ending;       // of a head that goes on in CONTINUATION; stream 0 = none
    uint32_t taken;     // bytes of DATA for which no window was given back
    int64_t window;     // of the connection
    int due_count;      // answers that wait for that window
    H2Due due[H2_STREAMS];
} H2;

typedef struct {
    unsigned char *to;
    size_t len, room;
} H2Out;

// A field by its name in the static table or spelled out, and where it is in the dynamic one.
typedef struct {
    int static_name;
    const char *name, *value;
    int known;
} H2Field;

static const H2Field PLAIN[] = {{54, NULL, "backend", 65},
                                {33, NULL, "Fri, 20 Nov 2026 06:30:00 GMT", 64},
                                {31, NULL, "text/plain", 63},
                                {28, NULL, "13", 62}};
static const H2Field CALL[] = {{31, NULL, "application/grpc", 63}};
static const H2Field CALL_ENDS[] = {{0, "grpc-status", "0", 62}};
static const char H2_TEXT[] = "xxxxxxxxxxxxx";
static const char H2_MESSAGE[] = "\0\0\0\0\x0d\x0a\x0bhello there";  // one field of text, of 11 bytes

static void h2_put(H2Out *out, const void *bytes, size_t len) {
    memcpy(out->to + out->len, bytes, len);
    out->len += len;
}

static void h2_byte(H2Out *out, int byte) { out->to[out->len++] = byte; }

static void h2_frame(H2Out *out, size_t len, int type, int flags, uint32_t stream) {
    unsigned char head[H2_HEAD] = {len >> 16,    len >> 8,     len,         type,  flags,
                                   stream >> 24, stream >> 16, stream >> 8, stream};
    h2_put(out, head, sizeof head);
}

static void h2_text(H2Out *out, const char *text) {
    h2_byte(out, strlen(text));
    h2_put(out, text, strlen(text));
}

static void h2_field(H2Out *out, const H2Field *field, int is_known, int is_new) {
    if (is_known) {
        h2_byte(out, 0x80 | field->known);
        return;
    }
    if (is_new) {
        h2_byte(out, 0x40 | field->static_name);
    } else if (field->static_name < 15) {
        h2_byte(out, field->static_name);
    } else {
        h2_byte(out, 0x0f);
        h2_byte(out, field->static_name - 15);
    }
    if (field->name) h2_text(out, field->name);
    h2_text(out, field->value);
}

static void h2_fields(H2 *h, H2Out *out, H2Due due, const H2Field *fields, int count, int flags) {
    size_t at = out->len;
    int is_known = !h->is_literal && h->kind == 1 + due.is_call;
    int is_new = !h->is_literal && !h->kind;
    h2_frame(out, 0, HEADERS, flags, due.stream);
    if (h->must_resize) h2_byte(out, 0x20);
    h->must_resize = 0;
    if (!(flags & END_STREAM)) h2_byte(out, 0x88);  // :status 200; the end of a call has none
    for (int i = 0; i < count; i++) h2_field(out, &fields[i], is_known, is_new);
    out->to[at + 2] = out->len - at - H2_HEAD;
}

static void h2_answer(H2 *h, H2Out *out, H2Due due) {
    const char *body = due.is_call ? H2_MESSAGE : H2_TEXT;
    size_t len = due.is_call ? sizeof H2_MESSAGE - 1 : sizeof H2_TEXT - 1;
    h2_fields(h, out, due, due.is_call ? CALL : PLAIN, due.is_call ? 1 : 4, END_HEADERS);
    h2_frame(out, len, DATA, due.is_call ? 0 : END_STREAM, due.stream);
    h2_put(out, body, len);
    if (due.is_call) h2_fields(h, out, due, CALL_ENDS, 1, END_HEADERS | END_STREAM);
    if (!h->kind) h->kind = 1 + due.is_call;
    h->window -= len;
}

static int h2_due(H2 *h, H2Due due) {
    if (h->due_count == H2_STREAMS) return -1;
    h->due[h->due_count++] = due;
    return 0;
}

static void h2_drop(H2 *h, int at) {
    memmove(&h->due[at], &h->due[at + 1], (--h->due_count - at) * sizeof h->due[0]);
}

static void h2_answer_due(H2 *h, H2Out *out) {
    while (h->due_count && h->window >= (int64_t)sizeof H2_MESSAGE &&
           out->room - out->len >= H2_ANSWER) {
        h2_answer(h, out, h->due[0]);
        h2_drop(h, 0);
    }
}

static uint32_t h2_number(const unsigned char *at) {
    return (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
}

static int h2_settings(H2 *h, H2Out *out, const unsigned char *at, size_t len) {
    for (; len >= 6; at += 6, len -= 6) {
        uint32_t value = h2_number(at + 2);
        int which = at[0] << 8 | at[1];
        if (which == TABLE_SIZE && value < USUAL_TABLE) h->is_literal = h->must_resize = 1;
        if (which == INITIAL_WINDOW && value < sizeof H2_MESSAGE) return -1;
    }
    h2_frame(out, 0, SETTINGS, ACK, 0);
    return 0;
}

static int h2_headers(H2 *h, int flags, uint32_t stream) {
    H2Due due = {stream, stream <= h->last};  // a second head on a stream is that of trailers
    if (stream > h->last) h->last = stream;
    if (!(flags & END_STREAM)) return 0;
    if (flags & END_HEADERS) return h2_due(h, due);
    h->ending = due;
    return 0;
}

static int h2_data(H2 *h, H2Out *out, size_t len, int flags, uint32_t stream) {
    h->taken += len;
    if (h->taken >= H2_LARGEST) {
        unsigned char grant[4] = {h->taken >> 24, h->taken >> 16, h->taken >> 8, h->taken};
        h2_frame(out, sizeof grant, WINDOW_UPDATE, 0, 0);
        h2_put(out, grant, sizeof grant);
        h->taken = 0;
    }
    return flags & END_STREAM ? h2_due(h, (H2Due){stream, 1}) : 0;
}

static int h2_one(H2 *h, H2Out *out, const unsigned char *in, size_t len) {
    int type = in[3], flags = in[4];
    uint32_t stream = h2_number(in + 5) & 0x7fffffff;
    const unsigned char *payload = in + H2_HEAD;
    if (type == DATA) return h2_data(h, out, len, flags, stream);
    if (type == HEADERS) return h2_headers(h, flags, stream);
    if (type == CONTINUATION && flags & END_HEADERS && h->ending.stream) {
        int done = h2_due(h, h->ending);
        h->ending.stream = 0;
        return done;
    }
    if (type == SETTINGS && !(flags & ACK)) return h2_settings(h, out, payload, len);
    if (type == WINDOW_UPDATE && !stream && len == 4) h->window += h2_number(payload) & 0x7fffffff;
    if (type == PING && !(flags & ACK) && len == 8) {
        h2_frame(out, 8, PING, ACK, 0);
        h2_put(out, payload, 8);
    }
    if (type == RESET)
        for (int i = h->due_count - 1; i >= 0; i--)
            if (h->due[i].stream == stream) h2_drop(h, i);
    return 0;
}

// Takes whole frames and answers them as far as there is room; how many bytes were taken, -1 to hang up.
static ssize_t h2_take(H2 *h, H2Out *out, const unsigned char *in, size_t have) {
    size_t at = 0;
    if (!h->is_greeted) {
        static const unsigned char most[6] = {0, MOST_STREAMS, 0, 0, H2_STREAMS >> 8, 0};
        h2_frame(out, sizeof most, SETTINGS, 0, 0);
        h2_put(out, most, sizeof most);
        h->is_greeted = 1;
        h->window = 65535;
        at = H2_PREFACE;
    }
    h2_answer_due(h, out);
    while (have - at >= H2_HEAD && out->room - out->len >= H2_ANSWER) {
        size_t len = in[at] << 16 | in[at + 1] << 8 | in[at + 2];
        if (len > H2_LARGEST) return -1;
        if (have - at < H2_HEAD + len) break;
        if (h2_one(h, out, in + at, len)) return -1;
        h2_answer_due(h, out);
        at += H2_HEAD + len;
    }
    return at;
}
