/* SPDX-License-Identifier: Apache-2.0 */

/*
 * In a worker's place: enters the same sandbox, the net worker's where the request has
 * "servers", and then does what no worker needs, the "trial" of its request. Says so in
 * the words of an error. Built twice, with the layers and without them: only then do the
 * refusals say something.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/channel.h"
#include "base/text.h"
#include "worker/sandbox.h"

static const struct json *request;

static const char *path_of(const char *name)
{
	static char path[2][256];
	static unsigned turn;
	char *buffer = path[turn++ % 2];

	(void)snprintf(buffer, sizeof(path[0]), "%s/%s",
		       json_get_string(request, "folder"), name);
	return buffer;
}

static const char *of_parent(const char *name)
{
	static char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)getppid(), name);
	return path;
}

static int try_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd >= 0)
		(void)close(fd);
	return fd;
}

static int shadow(void)
{
	return try_open("/etc/shadow", O_RDONLY);
}

static int passwd(void)
{
	return try_open("/etc/passwd", O_WRONLY | O_APPEND);
}

static int create(void)
{
	return try_open(path_of("created"), O_WRONLY | O_CREAT);
}

static int read_library(void)
{
	return try_open("/usr/bin/env", O_RDONLY);
}

static int read_users_file(void)
{
	return try_open(path_of("file"), O_RDONLY);
}

static int home(void)
{
	return try_open("/root", O_RDONLY | O_DIRECTORY);
}

static int parents_memory(void)
{
	return try_open(of_parent("mem"), O_RDONLY);
}

static int parents_environment(void)
{
	return try_open(of_parent("environ"), O_RDONLY);
}

static int trace(void)
{
	return (int)ptrace(PTRACE_SEIZE, getppid(), NULL, NULL);
}

static int vm_read(void)
{
	char byte;
	struct iovec here = { &byte, 1 }, there = { &byte, 1 };

	/* That address may be none there: then it was at least looked for. */
	if (process_vm_readv(getppid(), &here, 1, &there, 1, 0) < 0 && errno != EFAULT)
		return -1;
	return 0;
}

static int send_signal(void)
{
	return kill(getppid(), 0);
}

static int exec(void)
{
	return execve("/bin/true", (char *[]){ NULL, NULL }, (char *[]){ NULL });
}

static int fork_child(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid < 0 ? -1 : waitpid(pid, NULL, 0);
}

static int unshare_mounts(void)
{
	return unshare(CLONE_NEWNS);
}

static int mount_memory(void)
{
	return mount("none", path_of("folder"), "tmpfs", 0, NULL) < 0
		       ? -1
		       : umount2(path_of("folder"), MNT_DETACH);
}

static int new_mount(void)
{
	return (int)syscall(SYS_fsopen, "tmpfs", 0);
}

static int bpf_map(void)
{
	union bpf_attr attr;

	/* The kernel refuses what is not zero behind the fields that it reads. */
	(void)memset(&attr, 0, sizeof(attr));
	attr.map_type = BPF_MAP_TYPE_ARRAY;
	attr.key_size = 4;
	attr.value_size = 4;
	attr.max_entries = 1;
	return (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
}

static int uring(void)
{
	struct io_uring_params params = { .flags = 0 };

	return (int)syscall(SYS_io_uring_setup, 1, &params);
}

static int keys(void)
{
	return (int)syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING,
			    1);
}

static int memory_file(void)
{
	return memfd_create("trial", MFD_CLOEXEC);
}

static int change_mode(void)
{
	return chmod(path_of("file"), 0666);
}

static int rename_file(void)
{
	return rename(path_of("file"), path_of("renamed"));
}

static int packets(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0);
}

static int raw(void)
{
	return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

static int inet(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static int listen_there(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	return listen(fd, 1);
}

static int connect_elsewhere(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)json_get_int(request, "port", 0)),
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return connect(fd, (const struct sockaddr *)&address, sizeof(address));
}

static int connect_abstract(void)
{
	const char *name = json_get_string(request, "abstract");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)text_copy(address.sun_path + 1, sizeof(address.sun_path) - 1, name);
	return connect(
		fd, (const struct sockaddr *)&address,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name)));
}

static int written_code(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return page == MAP_FAILED ? -1 : 0;
}

static int later_code(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	return page == MAP_FAILED ? -1 : mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static int anonymous_code(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	return page == MAP_FAILED ? -1 : 0;
}

static int become_root(void)
{
	return setresuid(0, 0, 0);
}

static int dump(void)
{
	return prctl(PR_SET_DUMPABLE, 1);
}

static int outlive(void)
{
	return prctl(PR_SET_PDEATHSIG, 0);
}

static int raise_limit(void)
{
	return setrlimit(RLIMIT_FSIZE, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY });
}

static const struct {
	const char *name;
	int (*run)(void);
} trials[] = {
	{ "shadow", shadow },
	{ "passwd", passwd },
	{ "create", create },
	{ "read_library", read_library },
	{ "read_users_file", read_users_file },
	{ "home", home },
	{ "parents_memory", parents_memory },
	{ "parents_environment", parents_environment },
	{ "trace", trace },
	{ "vm_read", vm_read },
	{ "send_signal", send_signal },
	{ "exec", exec },
	{ "fork", fork_child },
	{ "unshare", unshare_mounts },
	{ "mount", mount_memory },
	{ "new_mount", new_mount },
	{ "bpf", bpf_map },
	{ "uring", uring },
	{ "keys", keys },
	{ "memory_file", memory_file },
	{ "change_mode", change_mode },
	{ "rename", rename_file },
	{ "packets", packets },
	{ "raw", raw },
	{ "inet", inet },
	{ "listen", listen_there },
	{ "connect_elsewhere", connect_elsewhere },
	{ "connect_abstract", connect_abstract },
	{ "written_code", written_code },
	{ "later_code", later_code },
	{ "anonymous_code", anonymous_code },
	{ "become_root", become_root },
	{ "dump", dump },
	{ "outlive", outlive },
	{ "raise_limit", raise_limit },
};

int main(void)
{
	cleanup_json struct json *mine = NULL;
	struct error err = ERROR_INIT;
	int done = -1, errnum = ENOENT;
	const char *name;

	if (channel_receive(CHANNEL_FD, &mine, &err) < 0 ||
	    sandbox_enter(json_get(mine, "servers") != NULL, mine, NULL, &err) < 0)
		return channel_send_error(CHANNEL_FD, &err, &err) < 0;
	request = mine;
	name = json_get_string(mine, "trial");
	for (size_t i = 0; name && i < sizeof(trials) / sizeof(trials[0]); i++) {
		if (strcmp(trials[i].name, name) != 0)
			continue;
		errno = 0;
		done = trials[i].run();
		errnum = errno;
	}
	/* As an error's words: an answer must have the shape of its job's. */
	(void)error_set(&err, ERROR_USAGE, "done %d errno %d landlock %d", done >= 0,
			done >= 0 ? 0 : errnum, sandbox_layers().landlock);
	return channel_send_error(CHANNEL_FD, &err, &(struct error){ .code = 0 }) < 0;
}
