/* What an echo server costs in C: one thread on epoll (level-triggered), nothing but the echo. For comparison only.
 *
 *     echo_server tcp|udp PORT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, DATAGRAMS = 256, BUFFER = 65536 };

struct connection {
    int fd;
    size_t start, end; /* what of `kept` has not been sent */
    char *kept;        /* NULL: everything was sent */
};

static int epoll;
static char buffer[BUFFER];

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void watch(int operation, int fd, uint32_t events, void *with) {
    struct epoll_event event = {.events = events, .data.ptr = with};
    if (epoll_ctl(epoll, operation, fd, &event)) die("epoll_ctl");
}

static void forget(struct connection *connection) {
    close(connection->fd); /* which takes it out of epoll, too */
    free(connection->kept);
    free(connection);
}

static void welcome(int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct connection *connection = calloc(1, sizeof *connection);
        if (!connection) die("calloc");
        connection->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(EPOLL_CTL_ADD, fd, EPOLLIN, connection);
    }
    if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) die("accept4");
}

/* Sends what was kept. Until that is done nothing more is read. */
static void catch_up(struct connection *connection) {
    ssize_t sent = send(connection->fd, connection->kept + connection->start, connection->end - connection->start, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR) forget(connection);
        return;
    }
    connection->start += (size_t)sent;
    if (connection->start < connection->end) return;
    free(connection->kept);
    connection->kept = NULL;
    watch(EPOLL_CTL_MOD, connection->fd, EPOLLIN, connection);
}

static void echo(struct connection *connection) {
    ssize_t got = recv(connection->fd, buffer, sizeof buffer, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return forget(connection);
    ssize_t sent = send(connection->fd, buffer, (size_t)got, MSG_NOSIGNAL);
    if (sent == got) return;
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return forget(connection);
    connection->start = 0;
    connection->end = (size_t)(got - (sent < 0 ? 0 : sent));
    if (!(connection->kept = malloc(connection->end))) die("malloc");
    memcpy(connection->kept, buffer + got - connection->end, connection->end);
    watch(EPOLL_CTL_MOD, connection->fd, EPOLLOUT, connection);
}

/* As many datagrams as are there. One that finds no room on its way out is lost, as datagrams are. */
static void echo_datagrams(int fd) {
    for (int i = 0; i < DATAGRAMS; i++) {
        struct sockaddr_storage from;
        socklen_t length = sizeof from;
        ssize_t got = recvfrom(fd, buffer, sizeof buffer, MSG_DONTWAIT, (struct sockaddr *)&from, &length);
        if (got < 0) return;
        sendto(fd, buffer, (size_t)got, MSG_DONTWAIT, (struct sockaddr *)&from, length);
    }
}

int main(int count, char **arguments) {
    if (count != 3) return fprintf(stderr, "usage: echo_server tcp|udp PORT\n"), 2;
    int tcp = !strcmp(arguments[1], "tcp"), on = 1;
    struct sockaddr_in here = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[2])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int server = socket(AF_INET, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK, 0);
    if (server < 0) die("socket");
    if (tcp) setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(server, (struct sockaddr *)&here, sizeof here)) die("bind");
    if (tcp && listen(server, SOMAXCONN)) die("listen");
    if ((epoll = epoll_create1(0)) < 0) die("epoll_create1");
    watch(EPOLL_CTL_ADD, server, EPOLLIN, NULL);
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        if (ready < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            if (!connection)
                tcp ? welcome(server) : echo_datagrams(server);
            else
                connection->kept ? catch_up(connection) : echo(connection);
        }
    }
}
