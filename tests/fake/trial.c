/* SPDX-License-Identifier: Apache-2.0 */

/*
 * In a worker's place, the net worker's under the name "net-trial": enters as the workers
 * do, and then does what none needs, the "trial" of its request. Says so in the words of
 * an error. Built twice, with the layers and without them: only then do the refusals say
 * something.
 *
 * What is done to another process is done to the agent, and where the request leads to a
 * server to the other worker: by the net worker if "nets", else to it.
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
#include "base/macro.h"
#include "base/text.h"
#include "worker/job/job.h"
#include "worker/sandbox.h"
#include "worker/worker.h"

static const struct json *request;
static pid_t other;

static const char *path_of(const char *name)
{
	static char path[2][256];
	static unsigned turn;
	char *buffer = path[turn++ % 2];

	(void)snprintf(buffer, sizeof(path[0]), "%s/%s",
		       json_get_string(request, "folder"), name);
	return buffer;
}

static const char *of_other(const char *name)
{
	static char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)other, name);
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

static int others_memory(void)
{
	return try_open(of_other("mem"), O_RDONLY);
}

static int others_environment(void)
{
	return try_open(of_other("environ"), O_RDONLY);
}

static int others_files(void)
{
	return try_open(of_other("fd"), O_RDONLY | O_DIRECTORY);
}

static int trace(void)
{
	return (int)ptrace(PTRACE_SEIZE, other, NULL, NULL);
}

static int vm_read(void)
{
	char byte;
	struct iovec here = { &byte, 1 }, there = { &byte, 1 };

	/* That address may be none there: then it was at least looked for. */
	if (process_vm_readv(other, &here, 1, &there, 1, 0) < 0 && errno != EFAULT)
		return -1;
	return 0;
}

static int send_signal(void)
{
	return kill(other, 0);
}

/* What comes in that pipe would signal its owner. */
static int own_signal(void)
{
	int ends[2];

	return pipe(ends) < 0 ? -1 : fcntl(ends[0], F_SETOWN, other);
}

/* A descriptor of the other's. */
static int take_file(void)
{
	int process = (int)syscall(SYS_pidfd_open, other, 0);

	return process < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, process, CHANNEL_FD, 0);
}

static int set_limit(void)
{
	struct rlimit had;

	return prlimit(other, RLIMIT_CORE, NULL, &had) < 0
		       ? -1
		       : prlimit(other, RLIMIT_CORE, &had, NULL);
}

static int slow_down(void)
{
	return setpriority(PRIO_PROCESS, (id_t)other, 19);
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
	{ "others_memory", others_memory },
	{ "others_environment", others_environment },
	{ "others_files", others_files },
	{ "trace", trace },
	{ "vm_read", vm_read },
	{ "send_signal", send_signal },
	{ "own_signal", own_signal },
	{ "take_file", take_file },
	{ "set_limit", set_limit },
	{ "slow_down", slow_down },
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

struct done {
	int done, errnum;
};

static struct done try_it(const char *name)
{
	struct done said = { 0, ENOENT };

	for (size_t i = 0; name && i < ARRAY_SIZE(trials); i++) {
		if (strcmp(trials[i].name, name) != 0)
			continue;
		errno = 0;
		said.done = trials[i].run() >= 0;
		said.errnum = said.done ? 0 : errno;
	}
	return said;
}

/* As an error's words: an answer must have the shape of its job's. */
static int say(struct done said, struct error *err)
{
	return error_set(err, ERROR_USAGE, "done %d errno %d landlock %d", said.done,
			 said.errnum, sandbox_layers().landlock);
}

static int alone(const struct json *mine, struct json **ret_result, struct error *err)
{
	(void)ret_result;
	request = mine;
	other = getppid();
	return say(try_it(json_get_string(mine, "trial")), err);
}

/* In the fetch worker's place: tells the net worker who it is, and what to try. */
static int beside_net(const struct json *mine, struct json **ret_result,
		      struct error *err)
{
	const char *trial = json_get_string(mine, "trial");
	bool nets = json_get_bool(mine, "nets", false);
	cleanup_json struct json *answer = NULL;

	(void)ret_result;
	request = mine;
	if (channel_send((int)json_get_int(mine, "questions", -1), "ask",
			 json_build("{s:i, s:s?}", "pid", (int)getpid(), "trial",
				    nets ? trial : NULL),
			 err) < 0 ||
	    channel_receive((int)json_get_int(mine, "answers", -1), &answer, err) < 0) {
		err->errnum = EPIPE; /* then the agent says of what it died */
		return -1;
	}
	other = (pid_t)json_get_int(json_get(answer, "is"), "pid", 0);
	if (!nets)
		return say(try_it(trial), err);
	return say((struct done){ (int)json_get_int(json_get(answer, "is"), "done", 0),
				  (int)json_get_int(json_get(answer, "is"), "errno", 0) },
		   err);
}

/* In the net worker's place: does what it is told, and stays until nobody asks. */
static int beside_fetch(const struct json *mine, struct json **ret_result,
			struct error *err)
{
	int questions = (int)json_get_int(mine, "questions", -1);
	cleanup_json struct json *question = NULL, *none = NULL;
	const struct json *ask;
	struct done said;

	(void)ret_result;
	request = mine;
	if (channel_receive(questions, &question, err) < 0)
		return -1;
	ask = json_get(question, "ask");
	other = (pid_t)json_get_int(ask, "pid", 0);
	said = try_it(json_get_string(ask, "trial"));
	if (channel_send((int)json_get_int(mine, "answers", -1), "is",
			 json_build("{s:i, s:i, s:i}", "pid", (int)getpid(), "done",
				    said.done, "errno", said.errnum),
			 err) < 0)
		return -1;
	return channel_receive(questions, &none, err);
}

static const struct job jobs[] = {
	{ "copy", alone },
	{ "probe", alone },
	{ "fetch", beside_net },
	{ "serve", beside_fetch },
};

int main(int argc, char **argv)
{
	return worker_run(argc, argv, jobs, ARRAY_SIZE(jobs),
			  text_starts(program_invocation_short_name, "net-"));
}
