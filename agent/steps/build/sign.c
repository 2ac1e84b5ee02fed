/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/build/sign.h"

#include <errno.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/json.h"
#include "base/room.h"
#include "base/span.h"
#include "base/text.h"
#include "base/trust.h"
#include "model/driver/package.h"
#include "model/paths.h"

#define SIGN_TIMEOUT_S 60
#define COMMAND_TIMEOUT_S 300 /* of another host, perhaps of a person there */
#define DIGEST_HEX (PACKAGE_SHA256_SIZE - 1)
#define DETACHED_MAX 512

static int find_tool(const struct root *root, const struct kernel *kernel, char *tool,
		     size_t size, struct error *err)
{
	const char *const folders[] = { kernel->build, kernel->source };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		struct error ignored = ERROR_INIT;
		cleanup_fd int fd = -1;

		if (!folders[i][0] ||
		    !text_format(tool, size, "%s/scripts/sign-file", folders[i]))
			continue;
		fd = root_open_at(root, tool, O_PATH, 0, &ignored);
		if (fd >= 0)
			return 0;
	}
	(void)error_set(err, ERROR_PREREQUISITES,
			"the headers of kernel %s have no scripts/sign-file",
			kernel->release);
	return error_hint(err, "install the kernel's headers as the distribution packs "
			       "them, or sign the modules elsewhere");
}

/* Whoever can write it decides what the kernel of this guest trusts. */
static int open_trusted(const struct root *root, const char *path, enum trust trust,
			const char *setting, int *ret_fd, struct error *err)
{
	if (trust_open(root, path, trust, ret_fd, err) == 0)
		return 0;
	if (err->errnum == ENOENT || err->errnum == ENOTDIR)
		(void)error_recode(err, ERROR_USAGE);
	return error_prefix(err, "%s", setting);
}

static int read_answer(const struct json *answer, struct sign_cert *ret_cert,
		       struct error *err)
{
	const char *id = json_get_string(answer, "key_id");
	const char *name = json_get_string(answer, "name");
	const char *kind = json_get_string(answer, "kind");
	struct sign_cert cert = { .name = "" };

	if (!id || !name || !kind || !text_copy(cert.key_id, sizeof(cert.key_id), id) ||
	    !text_copy(cert.name, sizeof(cert.name), name) ||
	    !text_copy(cert.kind, sizeof(cert.kind), kind))
		return error_set(err, ERROR_INTERNAL,
				 "the worker's answer describes no certificate");
	*ret_cert = cert;
	return 0;
}

/* What the worker says of the pair, and of who signed the module (-1: none is meant). */
static int ask_worker(const struct channel *channel, const struct root *root,
		      const struct sign_key *key, int module, struct json **ret_answer,
		      struct error *err)
{
	cleanup_json struct json *request = json_build("{s:s, s:i}", "job", "certificate",
						       "cert", CHANNEL_FIRST_FILE);
	cleanup_fd int secret = -1, cert = -1;
	int fds[2] = { -1, module };
	const char *more = module >= 0 ? "module" : NULL;

	if (!more && key->key[0]) {
		if (open_trusted(root, key->key, TRUST_SECRET, "signing.key", &secret,
				 err) < 0)
			return -1;
		fds[1] = secret;
		more = "key";
	}
	if (open_trusted(root, key->cert, TRUST_PUBLIC, "signing.cert", &cert, err) < 0)
		return -1;
	fds[0] = cert;
	if (!request || (more && json_set(request, more,
					  json_build("i", CHANNEL_FIRST_FILE + 1)) < 0))
		return error_set_errno(err, ENOMEM, "asking for the certificate");
	return channel_call(channel, request, fds, more ? 2 : 1, ret_answer, err);
}

int sign_judge(const struct channel *channel, const struct root *root,
	       const struct sign_key *key, struct sign_cert *ret_cert, struct error *err)
{
	cleanup_json struct json *answer = NULL;

	if (ask_worker(channel, root, key, -1, &answer, err) < 0)
		return -1;
	return read_answer(answer, ret_cert, err);
}

int sign_is_by(const struct channel *channel, const struct root *root,
	       const struct sign_key *key, const char *module, bool *ret_is_signer,
	       struct error *err)
{
	cleanup_json struct json *answer = NULL;
	cleanup_fd int fd = root_open_at(root, module, O_RDONLY | O_NONBLOCK, 0, err);

	if (fd < 0 || ask_worker(channel, root, key, fd, &answer, err) < 0)
		return -1;
	*ret_is_signer = json_get_bool(answer, "signs", false);
	return 0;
}

static int digest_of(struct runner *runner, const struct root *root, const char *module,
		     char ret_hex[PACKAGE_SHA256_SIZE], struct error *err)
{
	cleanup(run_result_done) struct run_result result = { 0 };
	char program[128];
	const char *const argv[] = { program, "--binary", module, NULL };
	struct run run = { .argv = argv,
			   .timeout_s = SIGN_TIMEOUT_S,
			   .output_limit = 4096 };

	if (!run_find(root, "sha256sum", program, sizeof(program)))
		return error_set(err, ERROR_PREREQUISITES, "sha256sum is not installed");
	if (run_command(runner, root, &run, &result, err) < 0)
		return -1;
	if (result.status != 0 || result.signal || result.size < DIGEST_HEX ||
	    !package_sha256((struct span){ result.output, DIGEST_HEX }, ret_hex))
		return error_set(err, ERROR_INTERNAL, "sha256sum %s gave no digest",
				 module);
	return 0;
}

/* The key's host gets 64 digits of a module, and nothing else of it. */
static int ask_command(struct runner *runner, const struct root *root,
		       const struct sign_key *key, const char *module,
		       const char *signature, struct error *err)
{
	char hex[PACKAGE_SHA256_SIZE], digest[DETACHED_MAX];
	const char *const argv[] = { key->command, digest, signature, NULL };
	struct run run = { .argv = argv,
			   .timeout_s = COMMAND_TIMEOUT_S,
			   .output_limit = 4096 };
	struct stat st;
	bool there;

	if (!text_format(digest, sizeof(digest), "%s.sha256", module))
		return error_set_errno(err, ENAMETOOLONG, "signing %s", module);
	if (digest_of(runner, root, module, hex, err) < 0 ||
	    file_write_atomic(root, digest, hex, DIGEST_HEX, 0644, err) < 0 ||
	    root_unlink(root, signature, err) < 0 ||
	    run_checked(runner, root, &run, err) < 0 ||
	    root_look(root, signature, &there, &st, err) < 0)
		return -1;
	root_discard(root, digest);
	if (there && S_ISREG(st.st_mode) && st.st_size > 0)
		return 0;
	return error_set(err, ERROR_SECURE_BOOT, "it has ended well and written nothing");
}

static int sign_by_command(struct runner *runner, const struct root *root,
			   const struct sign_key *key, const char *tool,
			   const char *module, struct error *err)
{
	char signature[DETACHED_MAX];
	const char *const argv[] = { tool,      "-s",   signature, "sha256",
				     key->cert, module, NULL };
	struct run run = { .argv = argv,
			   .timeout_s = SIGN_TIMEOUT_S,
			   .output_limit = 4096 };

	if (!text_format(signature, sizeof(signature), "%s.p7s", module))
		return error_set_errno(err, ENAMETOOLONG, "signing %s", module);
	if (ask_command(runner, root, key, module, signature, err) < 0) {
		(void)error_recode(err, err->interrupted ? err->code : ERROR_SECURE_BOOT);
		return error_prefix(err, "--sign-command for %s", text_base_name(module));
	}
	if (run_checked(runner, root, &run, err) < 0)
		return error_prefix(err, "adding the signature to %s", module);
	root_discard(root, signature);
	return 0;
}

static int sign_by_key(struct runner *runner, const struct root *root,
		       const struct sign_key *key, const char *tool, const char *module,
		       struct error *err)
{
	static const char *const folders[] = { PATHS_BUILD, NULL };
	const char *const argv[] = { tool, "sha256", key->key, key->cert, module, NULL };
	struct run run = { .argv = argv,
			   .timeout_s = SIGN_TIMEOUT_S,
			   .output_limit = 4096 };

	if (run_checked(runner, root, &run, err) == 0)
		return 0;
	(void)error_prefix(err, "signing %s with %s", module, key->key);
	(void)error_recode(err, err->interrupted ? err->code : ERROR_SECURE_BOOT);
	(void)error_hint(err, "sign-file of this kernel cannot use signing.key; every "
			      "kernel's can use an RSA key");
	return room_explain(root, folders, err);
}

int sign_modules(struct runner *runner, const struct root *root,
		 const struct sign_key *key, const struct kernel *kernel,
		 const struct build_result *build, struct error *err)
{
	char tool[256];

	if (find_tool(root, kernel, tool, sizeof(tool), err) < 0)
		return -1;

	for (size_t i = 0; i < build->count; i++) {
		const char *module = build->modules[i];

		if ((key->command
			     ? sign_by_command(runner, root, key, tool, module, err)
			     : sign_by_key(runner, root, key, tool, module, err)) < 0)
			return -1;
	}
	return 0;
}
