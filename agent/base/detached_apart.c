/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/detached.h"
#include "base/text.h"

/* Of root's on every system; only the child sees what is over it. */
#define PLACE "/run"

/* One descriptor beside one byte. Room for the header and its alignment. */
union parcel {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

static int send_folder(int socket, int folder)
{
	union parcel parcel = { .room = { 0 } };
	char byte = 0;
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = parcel.room,
				  .msg_controllen = sizeof(parcel.room) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &folder, sizeof(folder));
	return sendmsg(socket, &message, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

/* -1: the child sent none. */
static int receive_folder(int socket)
{
	union parcel parcel = { .room = { 0 } };
	char byte = 0;
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = parcel.room,
				  .msg_controllen = sizeof(parcel.room) };
	struct cmsghdr *header = NULL;
	int folder = -1;

	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1)
		return -1;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_level == SOL_SOCKET &&
	    header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&folder, CMSG_DATA(header), sizeof(folder));
	return folder;
}

/*
 * The folder keeps the mount when the child and its namespace are gone. The exit status
 * is an errno: those that are meant here fit into it.
 */
static int mount_in_child(int socket, const char *source, const char *file_system)
{
	cleanup_fd int folder = -1;

	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(source, PLACE, file_system,
		  MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return errno;
	folder = open(PLACE, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return folder < 0 || send_folder(socket, folder) < 0 ? errno : 0;
}

static int wait_for(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			return errno;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

int detached_apart_open(int device, const char *file_system, int *ret_folder,
			struct error *err)
{
	cleanup_fd int ours = -1, theirs = -1, folder = -1;
	int pair[2], errnum;
	char source[64];
	pid_t child;

	text_path(source, sizeof(source), "/proc/self/fd/%d", device);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set_errno(err, errno, "mounting it as %s", file_system);
	ours = pair[0];
	theirs = pair[1];
	child = fork();
	if (child < 0)
		return error_set_errno(err, errno, "mounting it as %s", file_system);
	if (child == 0)
		_exit(mount_in_child(theirs, source, file_system));

	(void)close(take_fd(theirs));
	folder = receive_folder(ours);
	errnum = wait_for(child);
	if (folder < 0 || errnum)
		return error_set_errno(err, errnum ? errnum : EIO, "mounting it as %s",
				       file_system);
	*ret_folder = take_fd(folder);
	return 0;
}
