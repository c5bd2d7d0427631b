/* SPDX-License-Identifier: MIT */
#include "gateway/store_socket.h"

#include "gateway/path.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SUFFIX ".sock"

bool store_socket_path(const char *store, char out[PATH_MAX])
{
    return path_absolute(store, SUFFIX, out);
}

bool store_socket_answers(const char *store)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char path[PATH_MAX];
    if (!store_socket_path(store, path) || strlen(path) >= sizeof(at.sun_path))
        return false;
    memcpy(at.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answers = fd >= 0 && connect(fd, (const struct sockaddr *)&at, sizeof(at)) == 0;
    if (fd >= 0)
        close(fd);
    return answers;
}
