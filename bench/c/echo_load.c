/* Asks an echo server, or one that always gives the same answer, on many connections, and compares every answer byte by byte.
 *
 *     echo_load tcp|udp PORT CONNECTIONS SECONDS --send MESSAGE [--expect ANSWER]
 *
 * One message is under way on each connection: the next one is sent when the answer is there. A connection that ends or answers
 * wrongly is an error, and not used again. A datagram without an answer within 200 ms is lost, and sent again from a new socket,
 * so that what comes late answers nothing. Prints a JSON object: requests, seconds, errors, lost, p50_us, p99_us.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, ANSWER = 65536, PATIENCE = 200000, LONGEST = 10000000 }; /* the last two in microseconds */

struct connection {
    int fd;         /* -1: it failed */
    size_t got;     /* bytes of the answer so far */
    int64_t asked;  /* when the message was first sent */
    int64_t resend; /* when it counts as lost */
};

static int epoll, tcp;
static struct sockaddr_in server = {.sin_family = AF_INET};
static char *message, *expected;
static size_t message_length, expected_length;
static unsigned long requests, errors, lost;
static uint32_t taken[LONGEST]; /* microseconds -> how many answers took so long */

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
}

static void dial(struct connection *connection) {
    int on = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    connection->fd = socket(AF_INET, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
    if (connection->fd < 0) die("socket");
    if (connect(connection->fd, (struct sockaddr *)&server, sizeof server)) die("connect");
    if (tcp) setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event)) die("epoll_ctl");
}

static void fail(struct connection *connection) {
    errors++;
    close(connection->fd);
    connection->fd = -1;
}

static void ask(struct connection *connection, int64_t time) {
    connection->got = 0;
    connection->resend = time + PATIENCE;
    if (send(connection->fd, message, message_length, MSG_NOSIGNAL) != (ssize_t)message_length) fail(connection);
}

static void hear(struct connection *connection) {
    static char answer[ANSWER];
    /* One byte more than is due, so that more than is due is seen. */
    ssize_t got = recv(connection->fd, answer, expected_length - connection->got + 1, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0 || connection->got + (size_t)got > expected_length) return fail(connection);
    if (memcmp(answer, expected + connection->got, (size_t)got)) return fail(connection);
    connection->got += (size_t)got;
    if (connection->got < expected_length) return tcp ? (void)0 : fail(connection);
    int64_t time = now(), microseconds = time - connection->asked;
    taken[microseconds < LONGEST ? microseconds : LONGEST - 1]++;
    requests++;
    connection->asked = time;
    ask(connection, time);
}

static void resend_lost(struct connection *connections, int count) {
    int64_t time = now();
    for (struct connection *connection = connections; connection < connections + count; connection++) {
        if (connection->fd < 0 || time < connection->resend) continue;
        lost++;
        close(connection->fd);
        dial(connection);
        ask(connection, time);
    }
}

static int quantile(double part) {
    unsigned long rest = (unsigned long)((double)requests * part);
    int microseconds = 0;
    while (microseconds < LONGEST - 1 && rest >= taken[microseconds]) rest -= taken[microseconds++];
    return requests ? microseconds : 0;
}

static int read_arguments(int count, char **arguments, double *seconds) {
    static const struct option options[] = {
        {"send", required_argument, NULL, 's'}, {"expect", required_argument, NULL, 'e'}, {NULL, 0, NULL, 0}};
    for (int option; (option = getopt_long(count, arguments, "", options, NULL)) != -1;) {
        if (option == 's') message = optarg;
        if (option == 'e') expected = optarg;
        if (option == '?') exit(2);
    }
    if (!expected) expected = message;
    if (count - optind != 4 || !message || !(message_length = strlen(message)) ||
        (expected_length = strlen(expected)) - 1 >= ANSWER - 1) {
        fprintf(stderr, "usage: echo_load tcp|udp PORT CONNECTIONS SECONDS --send MESSAGE [--expect ANSWER]\n");
        exit(2);
    }
    tcp = !strcmp(arguments[optind], "tcp");
    server.sin_port = htons((uint16_t)atoi(arguments[optind + 1]));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *seconds = atof(arguments[optind + 3]);
    return atoi(arguments[optind + 2]);
}

int main(int count, char **arguments) {
    double seconds;
    int connected = read_arguments(count, arguments, &seconds);
    struct connection *connections = calloc((size_t)connected, sizeof *connections);
    if (!connections) die("calloc");
    if ((epoll = epoll_create1(0)) < 0) die("epoll_create1");
    for (int i = 0; i < connected; i++) dial(&connections[i]);
    int64_t began = now(), until = began + (int64_t)(seconds * 1e6), look = began, time;
    for (int i = 0; i < connected; i++) ask(&connections[i], connections[i].asked = now());
    while ((time = now()) < until && errors < (unsigned long)connected) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, 10);
        if (ready < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < ready; i++) hear(events[i].data.ptr);
        if (!tcp && time >= look) {
            resend_lost(connections, connected);
            look = time + PATIENCE / 10;
        }
    }
    printf("{\"requests\": %lu, \"seconds\": %.6f, \"errors\": %lu, \"lost\": %lu, \"p50_us\": %d, \"p99_us\": %d}\n", requests,
           (double)(time - began) / 1e6, errors, lost, quantile(0.50), quantile(0.99));
    return 0;
}
