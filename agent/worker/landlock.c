/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/macro.h"
#include "base/text.h"

/*
 * Debian 12's headers know ABI 2: the rest is from the kernel's
 * Documentation/userspace-api/landlock.rst. The numbers are the same everywhere.
 */
#define CREATE_RULESET 444
#define ADD_RULE 445
#define RESTRICT_SELF 446
#define ASK_VERSION (1u << 0)
#define RULE_PATH 1
#define RULE_PORT 2

#define FS_READ_FILE (1ull << 2)
#define FS_READ_DIR (1ull << 3)
#define FS_OF_ABI_1 ((1ull << 13) - 1)
#define FS_REFER (1ull << 13)     /* ABI 2 */
#define FS_TRUNCATE (1ull << 14)  /* ABI 3 */
#define FS_IOCTL_DEV (1ull << 15) /* ABI 5 */
#define NET_BIND (1ull << 0)      /* ABI 4 */
#define NET_CONNECT (1ull << 1)
#define SCOPE_SOCKET (1ull << 0) /* ABI 6: abstract unix sockets */
#define SCOPE_SIGNAL (1ull << 1)

struct ruleset {
	uint64_t fs, net, scope;
};

struct path_rule {
	uint64_t access;
	int32_t fd;
} __attribute__((packed));

struct port_rule {
	uint64_t access, port;
};

/* An older kernel takes a shorter attribute, of the members that it knows. */
static size_t describe(int abi, struct ruleset *ret_ruleset)
{
	*ret_ruleset = (struct ruleset){ .fs = FS_OF_ABI_1 };
	if (abi >= 2)
		ret_ruleset->fs |= FS_REFER;
	if (abi >= 3)
		ret_ruleset->fs |= FS_TRUNCATE;
	if (abi >= 5)
		ret_ruleset->fs |= FS_IOCTL_DEV;
	if (abi >= LANDLOCK_ABI_PORTS)
		ret_ruleset->net = NET_BIND | NET_CONNECT;
	if (abi >= 6)
		ret_ruleset->scope = SCOPE_SOCKET | SCOPE_SIGNAL;
	return abi >= 6                    ? sizeof(*ret_ruleset)
	       : abi >= LANDLOCK_ABI_PORTS ? offsetof(struct ruleset, scope)
					   : offsetof(struct ruleset, net);
}

/* What is not there needs no rule. */
static int allow_path(int ruleset, const char *path, struct error *err)
{
	cleanup_fd int fd = open(path, O_PATH | O_CLOEXEC);
	struct path_rule rule = { .access = FS_READ_FILE, .fd = fd };
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return 0;
	if (S_ISDIR(st.st_mode))
		rule.access |= FS_READ_DIR;
	if (syscall(ADD_RULE, ruleset, RULE_PATH, &rule, 0) < 0)
		return error_set_errno(err, errno, "allowing %s", path);
	return 0;
}

/* Where the resolver's file is in truth: NetworkManager, resolvconf, systemd. */
static int allow_resolver(int ruleset, struct error *err)
{
	cleanup_fd int fd = open("/etc/resolv.conf", O_PATH | O_CLOEXEC);
	char link[32], path[PATH_MAX], *slash;
	ssize_t n;

	if (fd < 0 || !text_format(link, sizeof(link), "/proc/self/fd/%d", fd))
		return 0;
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return 0;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (!slash || slash == path)
		return 0;
	*slash = '\0';
	return allow_path(ruleset, path, err);
}

static int allow_paths(int ruleset, bool online, struct error *err)
{
	/* The libraries: a name service and a provider of OpenSSL are loaded late. */
	static const char *const libraries[] = { "/usr", "/lib", "/lib32", "/lib64" };
	static const char *const network[] = {
		"/etc",
		"/run/systemd/resolve",
		"/run/nscd",
		"/var/lib/sss/mc",
		"/var/lib/sss/pipes",
		"/proc/self",       /* libcurl opens the handed files there */
		"/proc/sys/crypto", /* is FIPS wanted? */
		"/dev/urandom",
	};
	const char *const trust[] = { secure_getenv("SSL_CERT_FILE"),
				      secure_getenv("SSL_CERT_DIR") };

	for (size_t i = 0; i < ARRAY_SIZE(libraries); i++) {
		if (allow_path(ruleset, libraries[i], err) < 0)
			return -1;
	}
	for (size_t i = 0; online && i < ARRAY_SIZE(network); i++) {
		if (allow_path(ruleset, network[i], err) < 0)
			return -1;
	}
	for (size_t i = 0; online && i < ARRAY_SIZE(trust); i++) {
		if (trust[i] && allow_path(ruleset, trust[i], err) < 0)
			return -1;
	}
	return online ? allow_resolver(ruleset, err) : 0;
}

static int allow_ports(int ruleset, const uint16_t *ports, size_t count,
		       struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		struct port_rule rule = { .access = NET_CONNECT, .port = ports[i] };

		if (syscall(ADD_RULE, ruleset, RULE_PORT, &rule, 0) < 0)
			return error_set_errno(err, errno, "allowing port %u", ports[i]);
	}
	return 0;
}

int landlock_enter(bool online, const uint16_t *ports, size_t port_count, int *ret_abi,
		   struct error *err)
{
	int abi = (int)syscall(CREATE_RULESET, NULL, 0, ASK_VERSION);
	cleanup_fd int ruleset = -1;
	struct ruleset attribute;
	size_t size;

	if (abi <= 0) { /* not built in, or not among the security modules of the boot */
		*ret_abi = 0;
		return 0;
	}
	size = describe(abi, &attribute);
	ruleset = (int)syscall(CREATE_RULESET, &attribute, size, 0);
	if (ruleset < 0)
		return error_set_errno(err, errno, "closing the file system");
	if (allow_paths(ruleset, online, err) < 0)
		return -1;
	if (abi >= LANDLOCK_ABI_PORTS && online &&
	    allow_ports(ruleset, ports, port_count, err) < 0)
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(RESTRICT_SELF, ruleset, 0) < 0)
		return error_set_errno(err, errno, "closing the file system");
	*ret_abi = abi;
	return 0;
}
